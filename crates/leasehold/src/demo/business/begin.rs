//! How it begins: consoles, computers, a lease from each tier to the next, and a page that is served.

use console_api::{Enrolment, Node as Shown, NodeState, OpenWindow, Page};
use lab::Failed;
use serde_json::{Value, json};

use super::world::{Business, HARDWARE, NODES, OWNER, PARTIES, SOFTWARE, USER};
use crate::demo::show::Evidence;
use crate::demo::world::{CHANNEL_PORT, PATIENCE, SILENCE};

/// Who grants, to whom, under which contract, what may be used up, and what may pass.
const LEASES: [(&str, &str, &str, [&str; 4], &str); 3] = [
    (OWNER, HARDWARE, "L-7", ["3", "96", "96", "3000"], WEB),
    (HARDWARE, SOFTWARE, "L-9", ["2", "48", "48", "1500"], WEB),
    (SOFTWARE, USER, "L-10", ["1", "16", "16", "500"], PAGE),
];

const WEB: &str = r#"version = 1
[[allow]]
name       = "web"
direction  = "in"
protocol   = "tcp"
remote     = ["internet"]
local_port = [80, 443]
"#;

const PAGE: &str = r#"version = 1
[[allow]]
name       = "page"
direction  = "in"
protocol   = "tcp"
remote     = ["internet"]
local_port = [80]
"#;

const SHELL: &str = r#"version = 1
[[allow]]
name       = "page-and-shell"
direction  = "in"
protocol   = "tcp"
remote     = ["internet"]
local_port = [22, 80]
"#;

pub(super) fn consoles(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    business.build()?;
    for console in business.facility_mut()?.consoles_mut() {
        let listen = format!("{}:{CHANNEL_PORT}", console.address());
        let folder = console.folder().join("console").display().to_string();
        console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
        let name = console.name().to_owned();
        let made = console.run(&["console", "init", &folder, "--name", &name, "--listen", &listen])?;
        evidence.check(format!("{name} makes a console {}", made.talk.trim_end()), made.exit == 0);
        console.start(&["console", "run", &folder])?;
    }
    let mut answer = 0;
    for console in business.facility_mut()?.consoles_mut() {
        let shown = console.answers(&["console", "show"], PATIENCE)?;
        answer += usize::from(shown.answer.get("name").and_then(Value::as_str) == Some(console.name()));
    }
    evidence.check(
        format!("{answer} consoles, each a process of its own, answer their parties"),
        answer == PARTIES.len(),
    );
    evidence.fact("consoles", PARTIES.to_vec());
    Ok(())
}

pub(super) fn nodes(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let identity = business.does(OWNER, &["console", "identity"])?.to_string();
    let _: Enrolment = business.desk(OWNER)?.post("/v1/enrolment", &OpenWindow { minutes: 5 })?;
    for place in 0..usize::from(NODES) {
        let facility = business.facility_mut()?;
        facility.enrol(place, &identity)?;
        let node = facility.nodes_mut().get_mut(place);
        node.ok_or_else(|| Failed::new("go on", "there is no such node"))?.start_supervisor(&[], true)?;
    }
    let mut facts = Vec::new();
    for place in 0..usize::from(NODES) {
        let (screen, name) = (business.screen(place)?, business.node(place)?.name().to_owned());
        let came = |window: &Enrolment| window.strangers.iter().any(|one| one.node.to_string() == screen);
        let _: Enrolment = business.desk(OWNER)?.until("/v1/enrolment", came)?;
        business.does(OWNER, &["node", "confirm", &screen, "--name", &name])?;
        facts.push(json!({ "name": name, "node": screen }));
    }
    let up = |nodes: &Page<Shown>| {
        let up = nodes.items.iter().filter(|node| node.state == NodeState::Up && node.record.is_some());
        up.count() == usize::from(NODES)
    };
    let _: Page<Shown> = business.desk(OWNER)?.until("/v1/nodes", up)?;
    evidence.check("the owner's console hears from each of its computers", true);
    evidence.fact("nodes", facts);
    Ok(())
}

pub(super) fn leased(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    for (from, to, contract, [tiers, keys, objects, records], boundary) in LEASES {
        let party = business.identity(to, from)?;
        let boundary = business.file(from, "boundary.toml", boundary)?;
        let grant =
            "lease,sever,enrol-key,renew,boundary,power,suspend,engine-run,engine-debug,volume,read-journal";
        let granted = business.does(
            from,
            &[
                "lease",
                "grant",
                contract,
                "--to",
                &party,
                "--boundary",
                &boundary,
                "--until",
                "2099-01-01T00:00:00Z",
                "--node",
                "n1",
                "--node",
                "n2",
                "--node",
                "n3",
                "--exercise",
                grant,
                "--grant",
                grant,
                "--tiers",
                tiers,
                "--keys",
                keys,
                "--objects",
                objects,
                "--records-per-hour",
                records,
                "--space-mib",
                "0",
            ],
        )?;
        let offer = granted.get("offer").cloned().unwrap_or_default();
        business.takes(to, &offer, &[])?;
        for node in ["n1", "n2", "n3"] {
            business.held(to, node)?;
        }
        evidence.check(
            format!("{contract}: {from} leases three computers to {to}, who makes their keys anew"),
            true,
        );
    }
    let tiers = business.tiers(0)?;
    evidence.check(
        format!("four tiers on each: {}", tiers.join(", ")),
        tiers == [OWNER, HARDWARE, SOFTWARE, USER],
    );
    evidence.fact("tiers", tiers);
    Ok(())
}

pub(super) fn served(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    for place in 0..usize::from(NODES) {
        business.settled(place)?;
        business.start_engine(place)?;
        let to = business.at(place)?;
        let served = business.serves(to, PATIENCE)?;
        evidence.check(format!("the user's engine answers the outside at {to}"), served);
    }
    let wide = business.file(USER, "wide.toml", SHELL)?;
    let said = business.says(USER, &["boundary", "apply", &wide])?;
    evidence
        .check("a shell for the outside is more than those above admit: refused (exit 3)", said.exit == 3);
    evidence.tell(said.talk.lines().next().unwrap_or_default());
    let up = business.says(USER, &["lease", "sever", "L-9", "--plan"])?;
    evidence.check(
        "the user cannot sever what is above it: it is not even told whether it is there",
        up.exit == 5,
    );
    let shell = std::net::SocketAddr::new(business.at(0)?.ip(), 22);
    evidence.check("and no shell answers", !business.serves(shell, SILENCE)?);
    Ok(())
}
