//! What orders do to packets.

use std::fs;
use std::process::Command;

use id::Nonce;
use keys::{NodeRecord, Purpose, Receipt};
use tenure::{Renew, Target, Verb};

use crate::world::{ANY, REALMS, SHORT, SOON, TENANT, WEB, World, at};

pub(crate) fn opens_and_cuts() {
    let mut world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    world.lease(1, REALMS);
    assert!(world.tier(0, TENANT).unwrap().realm.unwrap().open);
    let server = world.server(0);
    world.settled(1);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    client.exchange(connection, SOON).unwrap().unwrap();
    world.narrow(0, WEB).accepted();
    world.settled(0);
    client.exchange(connection, SOON).unwrap().unwrap();
    assert_eq!(client.connect(at(0, 81), SHORT).unwrap().unwrap_err(), "no answer");

    world.sever(0, tier).accepted();
    assert!(world.tier(0, TENANT).is_none());
    client.exchange(connection, SHORT).unwrap().unwrap_err();
    client.connect(at(0, 80), SHORT).unwrap().unwrap_err();
    assert!(!world.realm(0).exists());
    assert!(server.heard().is_err(), "the realm's engine lives");

    let said = world.ask(0, &["receipt", TENANT]);
    said.accepted();
    let lines = said.answer.as_str().map(str::to_owned);
    let lines = lines.unwrap_or_else(|| said.answer.to_string());
    let receipt = Receipt::verify(lines.lines().last().unwrap().as_bytes(), None).unwrap();
    assert_eq!((receipt.purpose, receipt.tier, receipt.destroyed.len()), (Purpose::Severing, tier, 1));

    let export = world.ask(0, &["journal", "export"]);
    let summary = journal::verify(export.answer.as_str().unwrap().as_bytes(), None).unwrap();
    let newest = world.settled(0);
    assert_eq!((summary.first, summary.last, summary.digest), (1, newest.record, newest.digest));
    assert!(receipt.record < newest.record, "the outcome's own record stands behind the receipt's");
}

pub(crate) fn refused() {
    let world = World::new();
    world.lease(0, REALMS);
    let wider = world.narrow(0, ANY);
    assert_eq!((wider.exit, wider.code()), (3, Some("exceeds-boundary")));
    world.narrow(0, WEB).accepted();
    let before = world.settled(0);
    let envelope = world.tenant.order_numbered(&world.standing(0, TENANT), 1, sever_of(&world));
    let stale = world.facility.nodes()[0].submit(&envelope, &[]).unwrap();
    assert_eq!((stale.exit, stale.code()), (6, Some("used-sequence")));
    let escalating = world.tenant.order(&world.standing(0, TENANT), sever_of(&world));
    let escalating = world.facility.nodes()[0].submit(&escalating, &[]).unwrap();
    assert_eq!((escalating.exit, escalating.code()), (3, Some("not-below")));
    // Each is on record: of signers that the node knows.
    assert_eq!(world.settled(0).record, before.record + 2);

    let stranger = lab::Party::new().unwrap();
    let forged = stranger.order(&world.standing(0, "landlord"), sever_of(&world));
    let forged = world.facility.nodes()[0].submit(&forged, &[]).unwrap();
    assert_eq!((forged.exit, forged.code()), (4, Some("not-authenticated")));
    let after = world.settled(0);
    assert_eq!((after.forged, after.record), (1, before.record + 2));
    let garbage = world.facility.nodes()[0].submit_bytes(b"{}", &[]).unwrap();
    assert_eq!((garbage.exit, garbage.code()), (2, Some("malformed-envelope")));
}

/// A severing needs nothing of custody but the receipt, which waits.
pub(crate) fn severed_without_custody() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    let (tier, _lease) = world.lease(0, REALMS);
    let landlord = world.standing(0, "landlord");
    let custody = world.facility.nodes()[0].folder().join("state/custody");
    let (key, away) = (custody.join("node.key"), custody.join("away"));
    fs::rename(&key, &away).unwrap();
    let envelope = world.landlord.order(&landlord, Verb::Sever(Target { tier }));
    world.facility.nodes()[0].submit(&envelope, &[]).unwrap().accepted();
    let failed =
        world.status_with(0, |status| status.warnings.iter().any(|warning| warning.code == "effect-failed"));
    assert!(!failed.settled);
    assert!(!world.realm(0).exists());
    assert_eq!(world.secrets(0).len(), 1);
    assert_eq!(world.signed(0), 1);
    fs::rename(&away, &key).unwrap();
    world.settled(0);
    assert_eq!(world.signed(0), 2);
}

/// Custody that hangs, and custody that dies, hold up nothing of a severing but the receipt; the supervisor
/// has another one soon.
pub(crate) fn severed_with_custody_hung_or_dead() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    for signal in ["-STOP", "-KILL"] {
        let (tier, _lease) = world.lease(0, REALMS);
        world.settled(0);
        let landlord = world.standing(0, "landlord");
        let (custody, signed) = (world.custody(0), world.signed(0));
        assert!(Command::new("kill").args([signal, &custody.to_string()]).status().unwrap().success());
        let envelope = world.landlord.order(&landlord, Verb::Sever(Target { tier }));
        world.facility.nodes()[0].submit(&envelope, &[]).unwrap().accepted();
        world.status_with(0, |_| world.secrets(0).len() == 1);
        world.settled(0);
        assert!(!world.realm(0).exists());
        assert_eq!(world.signed(0), signed + 1, "{signal}");
        assert_ne!(world.custody(0), custody);
    }
}

/// A suspension closes the realm, its end opens it again; open connections outlive it.
pub(crate) fn suspended_and_resumed() {
    let mut world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    world.lease(1, REALMS);
    world.settled(0);
    world.settled(1);
    let _server = world.server(0);
    let client = world.engine(1, "client");
    let connection = client.connect(at(0, 80), SOON).unwrap().unwrap();
    world.say(0, Verb::Suspend(Target { tier })).accepted();
    assert!(!world.tier(0, TENANT).unwrap().realm.unwrap().open);
    client.exchange(connection, SHORT).unwrap().unwrap_err();
    world.say(0, Verb::Resume(Target { tier })).accepted();
    assert!(world.tier(0, TENANT).unwrap().realm.unwrap().open);
    client.connect(at(0, 80), SOON).unwrap().unwrap();
}

/// A renewal from above replaces the secret, and nothing of the past epoch counts; the tenant's journal
/// export verifies, and the receipts too.
pub(crate) fn renewed_from_above() {
    let mut world = World::unstarted();
    world.start(0, &[]);
    world.settled(0);
    let (tier, _lease) = world.lease(0, REALMS);
    let before = world.standing(0, TENANT);
    let engine = world.server(0);
    let nonce = Nonce::from_bytes([7; 16]);
    let renew = Renew { tier: Some(tier), keep: Vec::new(), nonce: Some(nonce) };
    world.say(0, Verb::Renew(renew)).accepted();
    let status = world.tier(0, TENANT).unwrap();
    assert!(engine.heard().is_err(), "an engine of the past epoch lives");
    assert_eq!((status.epoch.get(), status.realm.unwrap().open), (before.epoch.get() + 1, true));
    let secrets = world.secrets(0);
    assert!(secrets.contains(&format!("{tier}.{}.secret", status.epoch)), "{secrets:?}");
    assert_eq!(secrets.len(), 2, "{secrets:?}");
    let late = world.tenant.order(&before, sever_of(&world));
    let late = world.facility.nodes()[0].submit(&late, &[]).unwrap();
    assert_eq!((late.exit, late.code()), (6, Some("wrong-epoch")));

    let statement = world.statement(0, &tier.to_string());
    assert_eq!((statement.epoch, statement.nonce), (status.epoch, Some(nonce)));

    let export = world.ask(0, &["journal", "export"]).answer;
    let summary = journal::verify(export.as_str().unwrap().as_bytes(), None).unwrap();
    assert_eq!(summary.last, world.settled(0).record);
}

/// The tenant would end the landlord.
fn sever_of(world: &World) -> Verb {
    Verb::Sever(Target { tier: world.standing(0, "landlord").tier })
}
