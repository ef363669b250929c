//! A node that is locked by a share which its root's console gives at each start.

use console_api::{Exit, Lock, Node as Shown};
use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use crate::fig6::{World, enrol, grant, held, take, world};
use crate::node::{Consoles, Node, Store, Vice};
use crate::party::{Party, told};

const PATH: &str = "/v1/nodes/n1";
const LOCK: &str = "/v1/nodes/n1/lock";

fn share_of(node: &Node) -> [u8; 32] {
    let Store::Share { share, .. } = node.store() else { panic!("{:?}", node.store()) };
    share
}

fn warns(node: &Shown, code: &str) -> bool {
    node.tiers[0].status.iter().flat_map(|status| &status.warnings).any(|warning| warning.code == code)
}

/// Waits until the node has said that its store is open.
async fn until_open(landlord: &Party, node: &Node) {
    let open =
        |shown: &Shown| matches!(node.store(), Store::Share { open: true, .. }) && shown.tiers[0].connected;
    let _: Shown = landlord.until(PATH, open).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_keeps_a_share_and_gives_it_at_each_start_of_the_node() {
    let World { consoles, landlord, node } = world().await;
    let shown: Shown = landlord.until(PATH, |shown| warns(shown, "stolen-disk-unprotected")).await;
    assert_eq!(shown.lock, Lock::None);
    let shown: Shown = landlord.post(LOCK, &json!({})).await;
    assert_eq!(shown.lock, Lock::Share);
    let share = share_of(&node);
    node.restart();
    until_open(&landlord, &node).await;
    // A console that was killed has the share, too.
    let landlord = landlord.restart(&consoles, false).await;
    node.restart();
    until_open(&landlord, &node).await;
    assert_eq!(share_of(&node), share);
    assert!(node.shares().len() >= 3 && node.shares().iter().all(|given| *given == share));
    let shown: Shown = landlord.get(PATH).await;
    assert_eq!(shown.lock, Lock::Share);

    let again = landlord.refused(LOCK, &json!({})).await;
    assert_eq!((again.code.as_str(), again.exit), ("already-locked", Exit::Refused as u8), "{again:?}");
    // Nobody is told the share.
    let said = [told(), json!(shown).to_string(), json!(again).to_string()].concat();
    for form in [HEXLOWER.encode(&share), BASE64.encode(&share), BASE64URL_NOPAD.encode(&share)] {
        assert!(!said.contains(&form));
    }
    assert!(!said.contains(&format!("{share:?}")) && !said.contains(&json!(share).to_string()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_that_was_drawn_once_is_the_one_that_is_given() {
    let World { consoles: _, landlord, node } = world().await;
    node.become_vicious(Vice { no_share: true, ..Vice::default() });
    let unconfirmed = landlord.refused(LOCK, &json!({})).await;
    assert_eq!((unconfirmed.code.as_str(), unconfirmed.exit), ("unconfirmed", Exit::TimedOut as u8));
    assert!(unconfirmed.message.ends_with(": not taken"), "{unconfirmed:?}");
    let shown: Shown = landlord.get(PATH).await;
    assert_eq!(shown.lock, Lock::Given);
    node.become_vicious(Vice::default());
    let shown: Shown = landlord.post(LOCK, &json!({})).await;
    assert_eq!(shown.lock, Lock::Share);
    assert_eq!(node.shares(), [share_of(&node); 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_locked_by_its_roots_console_alone_and_once() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let taken = take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted, "{taken:?}");
    let _: Shown = tenant.until(PATH, held).await;
    let by_tenant = tenant.refused(LOCK, &json!({})).await;
    assert_eq!((by_tenant.code.as_str(), by_tenant.exit), ("not-root", Exit::Refused as u8), "{by_tenant:?}");
    node.with_store(Store::KeyFile);
    let _: Shown = landlord.until(PATH, |shown| !warns(shown, "stolen-disk-unprotected")).await;
    let by_key_file = landlord.refused(LOCK, &json!({})).await;
    assert_eq!(by_key_file.code, "already-locked");
    assert!(by_key_file.hint.is_some() && node.shares().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_sealing_key_or_a_connection_is_not_locked() {
    let consoles = Consoles::default();
    let landlord = Party::new("landlord", &consoles).await;
    let vice = Vice { no_sealing_key: true, ..Vice::default() };
    let node = Node::with_vice(&landlord.identity().await, &consoles, vice);
    enrol(&landlord, &node, "n1").await;
    let unsealed = landlord.refused(LOCK, &json!({})).await;
    assert_eq!((unsealed.code.as_str(), unsealed.exit), ("no-sealing-key", Exit::Refused as u8));
    assert!(unsealed.hint.is_some());
    drop(node);
    let _: Shown = landlord.until(PATH, |shown: &Shown| !shown.tiers[0].connected).await;
    let away = landlord.refused(LOCK, &json!({})).await;
    assert_eq!((away.code.as_str(), away.hint.is_some()), ("node-unreachable", true));
    let shown: Shown = landlord.get(PATH).await;
    assert_eq!(shown.lock, Lock::None);
    let unknown = landlord.refused("/v1/nodes/n2/lock", &json!({})).await;
    assert_eq!(unknown.code, "not-found");
}
