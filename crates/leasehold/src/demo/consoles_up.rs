//! Three parties start their consoles, each in a place of its own: the landlord's and two tenants'.

use std::time::Duration;

use lab::Failed;
use serde_json::{Value, json};

use super::show::Evidence;
use super::world::{CHANNEL_PORT, CONSOLE_A, CONSOLE_B, LANDLORD, TENANT_A, TENANT_B, World};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run(world: &mut World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    world.build()?;
    let mut facts = Vec::new();
    for console in world.consoles_mut()? {
        let party = party_of(console.name());
        let listen = format!("{}:{CHANNEL_PORT}", console.address());
        let folder = console.folder().join("console").display().to_string();
        console.set("LEASEHOLD_CONSOLE", format!("unix:{folder}/console.sock"));
        console.set("LEASEHOLD_TOKEN_FILE", format!("{folder}/admin.token"));
        let made = console.run(&["console", "init", &folder, "--name", party, "--listen", &listen])?;
        evidence.check(format!("{party} makes a console {}", made.talk.trim_end()), made.exit == 0);
        console.start(&["console", "run", &folder])?;
    }
    for console in world.consoles_mut()? {
        let shown = console.answers(&["console", "show"], PATIENCE)?;
        let party = party_of(console.name());
        let own = shown.answer.get("name").and_then(Value::as_str) == Some(party);
        evidence.check(format!("{party}'s console runs in lh-{} and answers its party", console.name()), own);
        facts.push(
            json!({ "console": console.name(), "party": party, "channel": shown.answer.get("channel") }),
        );
    }
    let stranger =
        world.console(CONSOLE_A)?.run(&["console", "show", "--console", "http://10.0.0.2:7443"])?;
    evidence.check("a console's door for nodes is none for people", stranger.exit != 0);
    evidence.fact("consoles", Value::from(facts));
    world.enrol_nodes()?;
    world.leave_for_others()
}

/// Whose console it is.
pub(crate) fn party_of(console: &str) -> &'static str {
    match console {
        CONSOLE_A => TENANT_A,
        CONSOLE_B => TENANT_B,
        _ => LANDLORD,
    }
}
