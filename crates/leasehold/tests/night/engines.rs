//! Engines through a tenant's console: deployed, served, killed, hung, ended.

use std::io::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

use lab::{Console, Facility, Guard};
use os::process::Process;
use serde_json::Value;

use crate::world::{
    DHCP, Mail, PATIENCE, enrol, facility, fetch, fetched, image, items, lease, make_volume, page, ran,
    served_at, start, until, web,
};

/// Says that it is ready and lives, as `sd_notify(3)` has it, and nothing else.
const PULSE: &str = "socket(my $s, 1, 2, 0); my $to = pack('S a108', 1, '/run/notify'); \
    send($s, 'READY=1', 0, $to); while (1) { send($s, 'WATCHDOG=1', 0, $to); select(undef, undef, undef, 0.1) }";

/// What the tenant wants tried, with little patience.
const LADDERS: &str = "version = 1\n\
    [[ladder]]\nname = \"hung\"\nkinds = [\"engine-hung\"]\nsettle_s = 1\n\
    step = [{ do = \"notify\" }, { do = \"restart-engine\", wait_s = 30 }]\n\
    [[ladder]]\nname = \"exited\"\nkinds = [\"engine-exited\"]\nsettle_s = 1\n\
    step = [{ do = \"notify\" }, { do = \"restart-engine\", wait_s = 1 }, { do = \"reload-image\", wait_s = 1 }]\n\
    [[ladder]]\nname = \"rest\"\nsettle_s = 1\nstep = [{ do = \"notify\" }]\n";

pub(crate) fn day() {
    let guard = Guard::start().unwrap();
    let mut facility = facility(1, &guard);
    let mail = Mail::start(&facility.path_of("console-a"));
    let [landlord, tenant] = facility.consoles_mut() else { panic!("two consoles are planned") };
    start(landlord, "landlord", &["--realms", "10.1.0.10-10.1.0.200"], DHCP);
    start(tenant, "tenant-a", &[], &mail.receiver());
    let screens = enrol(&mut facility);
    let [landlord, tenant] = facility.consoles() else { panic!("two consoles are planned") };
    lease(landlord, tenant, &screens[0]);

    deployed(&facility, tenant);
    let facility = outlives_its_console(facility);
    let tenant = &facility.consoles()[1];
    killed(&facility, tenant);
    hung(&facility, tenant, &mail);
    ends_again_and_again(tenant);
    removed(&facility, tenant);
    // The landlord has no part in any of it.
    assert!(items(&ran(&facility.consoles()[0], &["engine", "list"])).next().is_none());
}

fn deployed(facility: &Facility, tenant: &Console) {
    let page = page();
    std::fs::write(tenant.folder().join("web.tar"), image(facility, &page)).unwrap();
    tenant.write("web.toml", &web(facility)).unwrap();
    let deploy = ["engine", "deploy", "web.toml", "--image", "web.tar", "--node", "n1"];
    let early = tenant.run(&deploy).unwrap();
    assert_eq!(early.exit, 5, "{}", early.talk);
    assert!(early.talk.contains("hint: leasehold volume make data"), "{}", early.talk);

    make_volume(tenant);
    let done = ran(tenant, &deploy);
    assert!(done["targets"][0]["order"]["accepted"]["record"].is_u64(), "{done}");
    // Whoever asks for what is so gets no order.
    let again = ran(tenant, &["engine", "deploy", "web.toml", "--image", "web.tar", "--of", "L-9"]);
    assert!(again["targets"][0]["done"] == true && again["targets"][0]["order"].is_null(), "{again}");
    let images = ran(tenant, &["image", "list"]);
    assert!(
        images["items"][0]["whole"] == true && images["items"][0]["engines"][0] == "web on n1",
        "{images}"
    );
    let used = images["items"][0]["image"].as_str().unwrap();
    assert_eq!(tenant.run(&["image", "remove", used]).unwrap().exit, 3);

    assert_eq!(fetched(facility, served_at(tenant, "web", "n1")), page);
    let volumes = until(tenant, &["volume", "list"], |volumes| volumes["items"][0]["state"] == "open");
    assert_eq!(
        (volumes["items"][0]["size_mib"].as_u64(), &volumes["items"][0]["engines"][0]),
        (Some(64), &"web".into())
    );
    let says = format!("{} serves\n", facility.plan().prefix);
    until(tenant, &["engine", "logs", "web"], |output| output["text"] == says.as_str());
}

/// What is wanted where is known to a console that lost its power a moment after it said yes.
fn outlives_its_console(mut facility: Facility) -> Facility {
    let tenant = &mut facility.consoles_mut()[1];
    let before = ran(tenant, &["engine", "show", "web"]);
    tenant.kill().unwrap();
    let folder = tenant.folder().join("console").display().to_string();
    tenant.start(&["console", "run", &folder]).unwrap();
    tenant.answers(&["console", "show"], PATIENCE).unwrap();
    let after = ran(tenant, &["engine", "show", "web"]);
    let kept = |shown: &Value| {
        (shown[0]["specification"].clone(), shown[0]["text"].clone(), shown[0]["image"].clone())
    };
    assert_eq!(kept(&after), kept(&before));
    assert!(kept(&after).1.as_str().unwrap().ends_with(&web(&facility)));
    facility
}

/// One that is killed runs again, by the node alone.
fn killed(facility: &Facility, tenant: &Console) {
    let address = served_at(tenant, "web", "n1");
    let home = format!("/{}", facility.plan().prefix);
    let began = Instant::now();
    let web = program(&["/bin/busybox", "httpd", "-f", "-p", "80", "-h", &home]);
    Process::open(web).unwrap().kill().unwrap();
    assert_eq!(fetched(facility, address), page());
    let told = format!("engine_restart_s {:.2}\n", began.elapsed().as_secs_f64());
    std::io::stderr().write_all(told.as_bytes()).unwrap();
    // By the node itself, or as the console ordered, whichever was sooner.
    let runs = |status: &Value| status["state"] == "running" && status["last_exit"].is_object();
    until(tenant, &["engine", "show", "web"], |shown| runs(&shown[0]["status"]));
}

/// One that hangs is killed by its watchdog; that it runs again is the console's doing, and people are told.
fn hung(facility: &Facility, tenant: &Console, mail: &Mail) {
    tenant.write("ladders.toml", LADDERS).unwrap();
    ran(tenant, &["ladder", "apply", "ladders.toml"]);
    let mark = format!("# {}", facility.plan().prefix);
    let command = serde_json::json!(["/usr/bin/perl", "-e", PULSE, mark]);
    let more = "ready = \"notify\"\nwatchdog_seconds = 3\nrestart = \"never\"";
    deploy(tenant, "till", &command, more);
    until(tenant, &["engine", "show", "till"], |shown| shown[0]["status"]["ready"] == true);

    let till = program(&["/usr/bin/perl", "-e", PULSE, &mark]).to_string();
    assert!(Command::new("kill").args(["-STOP", &till]).status().unwrap().success());
    let hung = |incidents: &Value| items(incidents).any(|one| one["cause"] == "engine-hung");
    let incidents = until(tenant, &["incident", "list", "--all"], hung);
    let incident = items(&incidents).find(|one| one["cause"] == "engine-hung").unwrap();
    assert_eq!(incident["about"], "engine till on n1");
    let number = incident["number"].as_str().unwrap();
    // Of the engine that was killed people were told, too.
    let told = format!("{number} engine till on n1: engine-hung");
    while !mail.mails.recv_timeout(PATIENCE).unwrap()["headers"]["subject"].to_string().contains(&told) {}
    let shown = until(tenant, &["incident", "show", number], |incident| incident["state"] == "resolved");
    let timeline = shown["timeline"].to_string();
    assert!(timeline.contains("restart-engine") && timeline.contains("ordered, record"), "{timeline}");
    until(tenant, &["engine", "show", "till"], |shown| shown[0]["status"]["ready"] == true);
}

/// One that ends whenever it is started gets its image unpacked anew, and then a person.
fn ends_again_and_again(tenant: &Console) {
    let command = serde_json::json!(["/bin/busybox", "sh", "-c", "exit 3"]);
    deploy(tenant, "bad", &command, "restart = \"never\"");
    let exited = |one: &&Value| one["cause"] == "engine-exited" && one["about"] == "engine bad on n1";
    let needed = |incidents: &Value| {
        items(incidents).find(exited).is_some_and(|incident| incident["state"] == "needs-person")
    };
    let incidents = until(tenant, &["incident", "list"], needed);
    let incident = items(&incidents).find(exited).unwrap();
    let timeline = incident["timeline"].to_string();
    for tried in ["restart-engine", "reload-image"] {
        assert!(timeline.contains(tried), "{tried}: {timeline}");
    }
    assert!(!timeline.contains("\"failed\""), "{timeline}");
    let bad = ran(tenant, &["engine", "show", "bad"]);
    assert_eq!(bad[0]["status"]["last_exit"]["code"], 3);
}

fn deploy(tenant: &Console, name: &str, command: &Value, more: &str) {
    let text = format!(
        "version = 1\nengine = \"{name}\"\nvolume = \"data\"\ncommand = {command}\nstop_seconds = 1\n{more}\n\
         [limits]\nmemory_mib = 64\nprocesses = 16\n"
    );
    tenant.write("more.toml", &text).unwrap();
    ran(tenant, &["engine", "deploy", "more.toml", "--image", "web.tar", "--node", "n1"]);
}

fn removed(facility: &Facility, tenant: &Console) {
    let address = served_at(tenant, "web", "n1");
    ran(tenant, &["engine", "stop", "web"]);
    until(tenant, &["engine", "show", "web"], |shown| shown[0]["status"]["state"] == "stopped");
    let internet = facility.namespace("internet").unwrap();
    assert!(internet.run(|| fetch((address, 80).into())).unwrap().is_err());
    ran(tenant, &["engine", "start", "web"]);
    assert_eq!(fetched(facility, served_at(tenant, "web", "n1")), page());

    // A volume goes only as planned, and with the risk accepted.
    let plan = tenant.run(&["volume", "remove", "data"]).unwrap();
    assert_eq!((plan.exit, &plan.answer["risks"][0]), (10, &"destroy-data".into()), "{}", plan.talk);
    let lost = plan.answer["targets"][0]["consequences"].to_string();
    assert!(lost.contains("64 MiB") && lost.contains("engine web loses its data"), "{lost}");
    let name = plan.answer["plan"].as_str().unwrap().to_owned();
    let remove = ["volume", "remove", "data", "--if-match", &name];
    assert_eq!(tenant.run(&remove).unwrap().exit, 3);
    for engine in ["web", "till", "bad"] {
        ran(tenant, &["engine", "remove", engine]);
    }
    // Without engines it is another plan.
    let stale = tenant.run(&[&remove[..], &["--accept-risk=destroy-data"]].concat()).unwrap();
    assert_eq!(stale.exit, 6, "{}", stale.talk);
    let plan = tenant.run(&["volume", "remove", "data", "--plan"]).unwrap().answer;
    let name = plan["plan"].as_str().unwrap();
    ran(tenant, &["volume", "remove", "data", "--if-match", name, "--accept-risk=destroy-data"]);
    assert!(items(&ran(tenant, &["volume", "list"])).next().is_none());
    assert!(items(&ran(tenant, &["engine", "list"])).next().is_none());
    assert_eq!(tenant.run(&["engine", "stop", "web"]).unwrap().exit, 5);
    let images = ran(tenant, &["image", "list"]);
    ran(tenant, &["image", "remove", images["items"][0]["image"].as_str().unwrap()]);
    assert!(items(&ran(tenant, &["image", "list"])).next().is_none());
}

/// The only process that was started with these words.
fn program(words: &[&str]) -> u32 {
    let wanted: Vec<u8> = words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let id = entry.ok()?.file_name().to_str()?.parse::<u32>().ok()?;
            (std::fs::read(format!("/proc/{id}/cmdline")).ok()? == wanted).then_some(id)
        });
        if let Some(id) = ids.last() {
            return id;
        }
        assert!(Instant::now() < deadline, "{words:?} does not run");
        os::poll::wait(&[], Some(Duration::from_millis(20))).unwrap();
    }
}
