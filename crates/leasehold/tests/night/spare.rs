//! A node dies with its power, its landlord's console notices, tells people by a real mail server, and has a spare take
//! its place; the tenant's console takes the spare over by itself, and serves its page from there.

use std::io::Write as _;

use id::Time;
use lab::Guard;
use serde_json::Value;

use crate::world::{
    DHCP, Mail, PATIENCE, enrol, facility, fetched, image, items, lease, make_volume, now, page, ran,
    seconds, served_at, start, until, web,
};

/// Narrower than what the tenant was given.
const OWN: &str = "version = 1\n[[allow]]\ndirection = \"in\"\nprotocol = \"tcp\"\n\
    remote = [\"203.0.113.0/25\"]\nlocal_port = [80]\n";

pub(crate) fn night() {
    let guard = Guard::start().unwrap();
    let mut facility = facility(3, &guard);
    let mail = Mail::start(&facility.path_of("landlord"));
    let [landlord, tenant] = facility.consoles_mut() else { panic!("two consoles are planned") };
    let settings = format!("{DHCP}{}", mail.receiver());
    start(landlord, "landlord", &["--realms", "10.1.0.10-10.1.0.200"], &settings);
    start(tenant, "tenant-a", &[], "");

    let screens = enrol(&mut facility);
    let [landlord, tenant] = facility.consoles() else { panic!("two consoles are planned") };
    lease(landlord, tenant, &screens[0]);
    ran(landlord, &["spare", "add", "n3"]);
    ran(tenant, &["lease", "standby", "L-9", "--node-key", &screens[2], "--name", "n3"]);
    until(landlord, &["spare", "list"], |spares| items(spares).all(|spare| spare["state"] == "ready"));
    assert!(items(&ran(landlord, &["incident", "list"])).next().is_none());

    // The tenant serves a page on its node, behind a boundary of its own.
    let page = page();
    tenant.write("own.toml", OWN).unwrap();
    // What the mirror does not have yet is told as stale.
    until(tenant, &["boundary", "apply", "own.toml"], |_| true);
    std::fs::write(tenant.folder().join("web.tar"), image(&facility, &page)).unwrap();
    tenant.write("web.toml", &web(&facility)).unwrap();
    make_volume(tenant);
    ran(tenant, &["engine", "deploy", "web.toml", "--image", "web.tar", "--node", "n1"]);
    let before = served_at(tenant, "web", "n1");
    assert_eq!(fetched(&facility, before), page);

    facility.power_off(0).unwrap();
    let died = now();
    let [landlord, tenant] = facility.consoles() else { panic!("two consoles are planned") };
    let dead =
        |answer: &Value| items(answer).any(|one| one["cause"] == "node-dead" && one["about"] == "node n1");
    let incidents = until(landlord, &["incident", "list"], dead);
    let incident = items(&incidents).find(|one| one["cause"] == "node-dead").unwrap();
    let known: Time = incident["opened"].as_str().unwrap().parse().unwrap();
    let received = mail.mails.recv_timeout(PATIENCE).unwrap();
    let subject = received["headers"]["subject"].as_str().unwrap();
    assert!(subject.starts_with("[CRITICAL] INC-1 node n1: node-dead"), "{received}");

    // The spare has a realm that is open, at an address that the directory says, and the tenant holds it.
    until(tenant, &["node", "show", "n3"], |node| {
        node["state"] == "up" && node["tiers"].as_array().unwrap().iter().any(|tier| tier["state"] == "held")
    });
    until(landlord, &["node", "show", "n3"], |node| {
        let tiers = node["tiers"][0]["status"]["tiers"].as_array().cloned().unwrap_or_default();
        tiers.iter().any(|tier| tier["name"] == "tenant-a" && tier["realm"]["open"] == true)
    });
    let open = now();
    // And it serves the page there: nobody has said anything.
    let address = served_at(tenant, "web", "n3");
    assert_eq!(fetched(&facility, address), page);
    let served = now();
    // Nobody could switch the dead node off: its address stays with it.
    assert_ne!(address, before);
    let sets = ran(tenant, &["boundary", "show"]);
    assert!(items(&sets).any(|set| set["node_name"] == "n3" && set["which"] == "own" && set["text"] == OWN));
    let incident =
        until(landlord, &["incident", "show", "1"], |incident| incident["state"] == "needs-person");
    let tried = incident["timeline"].to_string();
    assert!(tried.contains("spare n3 takes the place of n1"), "{tried}");
    assert!(tried.contains("with a new address"), "{tried}");
    let told = format!(
        "dead_known_s {:.2}, dead_to_open_spare_s {:.2}, dead_to_served_s {:.2}\n",
        seconds(died, known),
        seconds(died, open),
        seconds(died, served)
    );
    std::io::stderr().write_all(told.as_bytes()).unwrap();

    // It comes back, and the incident goes by itself once it stays.
    facility.power_on(0).unwrap();
    facility.nodes_mut()[0].start_supervisor(&[], true).unwrap();
    let [landlord, _] = facility.consoles() else { panic!("two consoles are planned") };
    let over = |incident: &Value| incident["state"] == "settling" || incident["state"] == "resolved";
    until(landlord, &["incident", "show", "1"], over);
}
