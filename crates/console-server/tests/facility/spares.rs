//! A spare takes a failed node's place: leases, boundary, directory, addresses; and the tenant takes it over by itself
//! where it stands by.

use std::path::Path;

use console_api::{Directory, NewSpare, Page, Spare, SpareActivated, SpareState, Standby, TierState};
use id::NodeId;
use serde_json::json;

use crate::fig6::{self, enrol, grant, take};
use crate::node::{Consoles, Node, Vice};
use crate::party::{Party, until_told};

/// A landlord with a node that is leased and taken over, and a spare of that kind.
async fn facility(power: Option<&str>, vice: Vice) -> (Party, Party, Node, Node) {
    let consoles = Consoles::default();
    let landlord = Party::with_realms("landlord", &consoles, Some("10.1.0.10-10.1.0.20")).await;
    let landlord = landlord.restart_after(&consoles, |folder| settings(folder, power)).await;
    let node = Node::enrolled(&landlord.identity().await, &consoles);
    enrol(&landlord, &node, "n1").await;
    let spare = Node::with_vice(&landlord.identity().await, &consoles, Vice::default());
    enrol(&landlord, &spare, "n2").await;
    // What it says of itself later is the vice's.
    spare.become_vicious(vice);
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let taken = take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted, "{taken:?}");
    let _: console_api::Node = tenant.until("/v1/nodes/n1", fig6::held).await;
    let _: Spare = landlord.post("/v1/spares", &NewSpare { node: "n2".to_owned(), cluster: None }).await;
    landlord.until("/v1/spares", |page: &Page<Spare>| page.items[0].state == SpareState::Ready).await;
    (landlord, tenant, node, spare)
}

/// A power driver that says that the machine is in that state, whatever it is told.
fn settings(folder: &Path, power: Option<&str>) {
    use std::io::Write as _;
    let Some(state) = power else { return };
    let mut file = std::fs::OpenOptions::new().append(true).open(folder.join("console.toml")).unwrap();
    write!(file, "\n[[power]]\ncommand = [\"/bin/sh\", \"-c\", \"echo {state}\"]\n").unwrap();
}

fn realm(directory: &Directory, node: &Node) -> Option<String> {
    let parsed = boundary::Directory::parse(directory.text.as_bytes()).unwrap();
    let (_, entry) = parsed.node_of_key(&node.fingerprint())?;
    Some(entry.realm(&"tenant-a".parse().unwrap())?[0].to_string())
}

async fn stands_by(tenant: &Party, spare: &Node) {
    let node = NodeId(spare.fingerprint());
    let standby = Standby { contract: "L-9".to_owned(), node, name: "n2".parse().unwrap() };
    let _: Standby = tenant.post("/v1/standbys", &standby).await;
}

async fn held(tenant: &Party) {
    let is_held = |node: &console_api::Node| {
        node.tiers.iter().any(|tier| tier.state == TierState::Held && tier.contract.as_deref() == Some("L-9"))
    };
    let _: console_api::Node = tenant.until("/v1/nodes/n2", is_held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_takes_a_place_with_a_new_address_where_nobody_switched_the_node_off() {
    let (landlord, tenant, node, spare) = facility(None, Vice::default()).await;
    let nowhere = Standby {
        contract: "L-1".to_owned(),
        node: NodeId(spare.fingerprint()),
        name: "n2".parse().unwrap(),
    };
    assert_eq!(tenant.refused("/v1/standbys", &nowhere).await.exit, 5);
    stands_by(&tenant, &spare).await;
    let before = landlord.until("/v1/directory", |directory| realm(directory, &node).is_some()).await;
    let done: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    assert!(done.told.contains("tenant-a with a new address"), "{}", done.told);
    assert_eq!((done.spare.state, done.spare.place_of_name.as_deref()), (SpareState::Used, Some("n1")));
    held(&tenant).await;
    let after = landlord.until("/v1/directory", |directory| realm(directory, &spare).is_some()).await;
    assert_eq!(realm(&after, &node), realm(&before, &node));
    assert_ne!(realm(&after, &spare), realm(&before, &node));
    // Asked again, it is the same spare, and no second lease.
    let again: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    assert_eq!(again.spare, done.spare);
    let leases: Page<console_api::Lease> = landlord.get("/v1/leases").await;
    assert_eq!(leases.items.iter().filter(|lease| lease.contract.as_deref() == Some("L-9")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_moves_from_a_node_that_is_switched_off() {
    let (landlord, tenant, node, spare) = facility(Some("off"), Vice::default()).await;
    stands_by(&tenant, &spare).await;
    let before = landlord.until("/v1/directory", |directory| realm(directory, &node).is_some()).await;
    let address = realm(&before, &node);
    let done: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    assert!(
        done.told.contains("tenant-a with its address") && done.told.contains("switched off"),
        "{}",
        done.told
    );
    held(&tenant).await;
    landlord.until("/v1/directory", |directory| realm(directory, &spare) == address).await;
    // The node itself, should it come back, gets another one.
    let other = |directory: &Directory| realm(directory, &node).is_none_or(|own| Some(own) != address);
    landlord.until("/v1/directory", other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spare_that_obeys_somebody_else_is_not_taken() {
    let foreign = *crate::node::key().public();
    let vice = Vice { foreign_key: Some(foreign), ..Vice::default() };
    let (landlord, tenant, _node, spare) = facility(None, vice).await;
    stands_by(&tenant, &spare).await;
    let _: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    until_told(|line| line.contains("a node that stands by") && line.contains("controllers")).await;
    let nodes: Page<console_api::Node> = tenant.get("/v1/nodes").await;
    assert_eq!(nodes.items.len(), 1, "{nodes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_spare_a_node_is_left_as_it_is() {
    let (landlord, _tenant, _node, _spare) = facility(Some("off"), Vice::default()).await;
    // Nothing is leased on the spare: nobody needs to take its place.
    assert_eq!(landlord.refused("/v1/nodes/n2/replace", &json!({})).await.code, "nothing-leased");
    let gone: Spare = landlord.delete("/v1/spares/n2").await;
    assert_eq!(gone.node_name, "n2");
    assert_eq!(landlord.refused("/v1/nodes/n1/replace", &json!({})).await.exit, 5);
}
