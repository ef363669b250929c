//! Three parties start their consoles, each in a place of its own: the landlord's and two tenants'.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use lab::{Console, Failed};
use serde_json::{Value, json};

use super::boundaries::DIRECTORY;
use super::mail::Post;
use super::show::Evidence;
use super::world::{
    CHANNEL_PORT, CONSOLE_A, CONSOLE_B, LANDLORD, OPERATORS, ROUTER, TEAM_MAIL, TENANT_A, TENANT_B, World,
};

/// The file with what the landlord shows the BMCs.
const PASSWORD: &str = "bmc.password";
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    world.build()?;
    let mut facts = Vec::new();
    let (power, password) = power(world)?;
    world.console(LANDLORD)?.write(PASSWORD, &password)?;
    let prefix = world.prefix;
    for console in world.consoles_mut()? {
        let party = party_of(console.name());
        let listen = format!("{}:{CHANNEL_PORT}", console.address());
        let folder = console.folder().join("console").display().to_string();
        console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
        console.set("LEASEHOLD_TOKEN_FILE", format!("{folder}/admin.token"));
        let mut init = vec!["console", "init", &folder, "--name", party, "--listen", &listen];
        if party == LANDLORD {
            init.extend(["--realms", "10.1.0.10-10.1.255.254"]);
        }
        let made = console.run(&init)?;
        evidence.check(format!("{party} makes a console {}", made.talk.trim_end()), made.exit == 0);
        match party {
            LANDLORD => settings(console, &format!("{}{power}{}", dhcp(console), told(OPERATORS)))?,
            TENANT_A => settings(console, &told(TEAM_MAIL))?,
            _ => {}
        }
        console.start(&["console", "run", &folder])?;
    }
    for console in world.consoles_mut()? {
        let shown = console.answers(&["console", "show"], PATIENCE)?;
        let party = party_of(console.name());
        let own = shown.answer.get("name").and_then(Value::as_str) == Some(party);
        evidence.check(
            format!("{party}'s console runs in {}-{} and answers its party", prefix, console.name()),
            own,
        );
        facts.push(
            json!({ "console": console.name(), "party": party, "channel": shown.answer.get("channel") }),
        );
    }
    let landlord = world.console(LANDLORD)?;
    let file = landlord.write("directory.toml", DIRECTORY)?.display().to_string();
    let published = landlord.run(&["directory", "publish", &file])?;
    evidence.check("the landlord signs a directory: which addresses are the facility's", published.exit == 0);
    let stranger =
        world.console(CONSOLE_A)?.run(&["console", "show", "--console", "http://10.0.0.2:7443"])?;
    evidence.check("a console's door for nodes is none for people", stranger.exit != 0);
    evidence.fact("consoles", Value::from(facts));
    world.enrol_nodes()?;
    world.leave_for_others()
}

/// The landlord's console gives addresses, too: to nodes, and to realms those that it reserves for them.
fn dhcp(console: &Console) -> String {
    format!(
        "\n[dhcp]\ninterface = \"eth0\"\nserver = \"{server}\"\nlease_s = 600\n\
         nodes = {{ addresses = \"10.0.0.100-10.0.0.199\", prefix = 16 }}\n\
         realms = {{ prefix = 16, router = \"{ROUTER}\" }}\n",
        server = console.address(),
    )
}

/// It switches nodes' power at their BMCs, which are simulated. What it shows them is a file of its own.
fn power(world: &World<'_>) -> Result<(String, String), Failed> {
    let port =
        world.facility()?.power_port().ok_or_else(|| Failed::new("go on", "there is no power port"))?;
    let file = world.console(LANDLORD)?.folder().join(PASSWORD);
    let table = format!(
        "\n[[power]]\nredfish = {{ url = \"{}\", user = \"{}\", password_file = \"{}\" }}\n",
        port.url(),
        port.user(),
        file.display()
    );
    Ok((table, port.password().to_owned()))
}

/// Whom it tells of incidents.
fn told(to: &str) -> String {
    let from = to.split_once('@').map_or(to, |(_person, host)| host);
    Post::receiver(&format!("leasehold@{from}"), to)
}

/// Adds to a console's settings.
fn settings(console: &Console, tables: &str) -> Result<(), Failed> {
    let path = console.folder().join("console/console.toml");
    let file = OpenOptions::new().append(true).open(&path);
    let written = file.and_then(|mut file| file.write_all(tables.as_bytes()));
    written.map_err(|error| Failed::new(format!("append to {}", path.display()), error))
}

/// Whose console it is.
pub(crate) fn party_of(console: &str) -> &'static str {
    match console {
        CONSOLE_A => TENANT_A,
        CONSOLE_B => TENANT_B,
        _ => LANDLORD,
    }
}
