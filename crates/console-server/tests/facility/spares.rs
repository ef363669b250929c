//! A spare takes a failed node's place: leases, boundary, directory, addresses; and the tenant takes it over by itself
//! where it stands by.

use std::path::Path;

use console_api::{
    BoundaryPlan, BoundaryShown, Directory, NewSpare, Order, Page, Spare, SpareActivated, SpareState,
    Standby, TierState,
};
use data_encoding::BASE64;
use id::NodeId;
use serde_json::{Value, json};

use crate::fig6::{self, enrol, grant, take};
use crate::node::{Consoles, Node, Vice};
use crate::party::{Party, until, until_told};

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
    stands_by_as(tenant, spare, "n2").await;
}

async fn stands_by_as(tenant: &Party, spare: &Node, name: &str) {
    let node = NodeId(spare.fingerprint());
    let standby = Standby { contract: "L-9".to_owned(), node, name: name.parse().unwrap() };
    let _: Standby = tenant.post("/v1/standbys", &standby).await;
}

async fn held(tenant: &Party) {
    held_as(tenant, "n2").await;
}

async fn held_as(tenant: &Party, name: &str) {
    let is_held = |node: &console_api::Node| {
        node.tiers.iter().any(|tier| tier.state == TierState::Held && tier.contract.as_deref() == Some("L-9"))
    };
    let _: console_api::Node = tenant.until(&format!("/v1/nodes/{name}"), is_held).await;
}

/// The tenant's own set on a node becomes this one.
async fn narrow(tenant: &Party, node: &str, text: &str) {
    let change = json!({ "text": text, "nodes": [node] });
    let applied: BoundaryPlan = tenant.post("/v1/boundaries", &change).await;
    assert!(applied.targets[0].order.is_some(), "{applied:?}");
}

/// The tenant's own set there, once there is one.
async fn own_set(tenant: &Party, node: &str) -> Option<String> {
    let is_it = |set: &&BoundaryShown| set.node_name == node && set.which == "own" && set.text.is_some();
    let sets: Page<BoundaryShown> = tenant
        .until("/v1/boundaries", |sets: &Page<BoundaryShown>| sets.items.iter().any(|set| is_it(&set)))
        .await;
    sets.items.iter().find(is_it).unwrap().text.clone()
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

/// What people changed on the spare is what the next spare gets.
#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_spare_that_dies_is_its_own_and_not_that_of_the_node_before() {
    let consoles = Consoles::default();
    let landlord = Party::with_realms("landlord", &consoles, Some("10.1.0.10-10.1.0.20")).await;
    let identity = landlord.identity().await;
    let mut nodes = [(); 3].map(|()| Node::enrolled(&identity, &consoles));
    // Whoever looks for a node with that boundary comes to the first one first.
    nodes.sort_by_key(|node| node.fingerprint().to_string());
    for (node, name) in nodes.iter().zip(["n1", "n2", "n3"]) {
        enrol(&landlord, node, name).await;
    }
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    take(&tenant, &granted, vec![nodes[0].fingerprint().to_string()]).await;
    let _: console_api::Node = tenant.until("/v1/nodes/n1", fig6::held).await;
    let sets = [1, 2].map(|number| {
        format!("version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.{number}.0/24\"\n")
    });
    narrow(&tenant, "n1", &sets[0]).await;
    for (died, spare) in [("n1", 1), ("n2", 2)] {
        let name = format!("n{}", spare + 1);
        let _: Spare = landlord.post("/v1/spares", &NewSpare { node: name.clone(), cluster: None }).await;
        stands_by_as(&tenant, &nodes[spare], &name).await;
        nodes[spare - 1].go_away();
        let done: SpareActivated = landlord.post(&format!("/v1/nodes/{died}/replace"), &json!({})).await;
        assert_eq!(done.spare.node_name, name);
        held_as(&tenant, &name).await;
        assert_eq!(own_set(&tenant, &name).await.as_ref(), Some(&sets[spare - 1]), "on {name}");
        if spare == 1 {
            narrow(&tenant, &name, &sets[1]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_tenant_enrolled_itself_comes_to_the_spare() {
    let (landlord, tenant, node, spare) = facility(None, Vice::default()).await;
    let own = *crate::node::key().public();
    let args = json!({ "key": own, "rights": ["boundary", "read-journal"] });
    let order = json!({ "node": "n1", "verb": "enrol-key", "args": args });
    let order: Order = tenant.post("/v1/orders", &order).await;
    assert!(node.controllers("tenant-a").contains(&own));
    // The landlord's console knows of it by then.
    let record = order.accepted.unwrap().record;
    let knows = |node: &console_api::Node| node.record.is_some_and(|known| known >= record);
    let _: console_api::Node = landlord.until("/v1/nodes/n1", knows).await;
    stands_by(&tenant, &spare).await;
    let _: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    held(&tenant).await;
    until("the tenant's own key", || spare.controllers("tenant-a").contains(&own)).await;
    assert_eq!(spare.controllers("tenant-a").len(), 2);
}

/// By hand, and not by the verbs that make objects themselves.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_orders_that_people_write_come_to_the_spare() {
    let (landlord, tenant, node, spare) = facility(None, Vice::default()).await;
    let set = "version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.5.0/24\"\n";
    let boundary = |args: Value| {
        let object = journal::Object::new(crate::node::random()[..16].try_into().unwrap(), set.as_bytes());
        let object = object.unwrap();
        let Value::Object(mut args) = args else { panic!("arguments are an object") };
        args.insert("object".to_owned(), json!(object.name()));
        let objects = vec![BASE64.encode(object.as_bytes())];
        json!({ "node": "n1", "verb": "boundary", "args": args, "objects": objects })
    };
    let _: Order = tenant.post("/v1/orders", &boundary(json!({}))).await;
    let given: Order = landlord.post("/v1/orders", &boundary(json!({ "tier": node.tier("tenant-a") }))).await;
    let record = given.accepted.unwrap().record;
    let knows = |node: &console_api::Node| node.record.is_some_and(|known| known >= record);
    for console in [&landlord, &tenant] {
        let _: console_api::Node = console.until("/v1/nodes/n1", knows).await;
    }
    stands_by(&tenant, &spare).await;
    let _: SpareActivated = landlord.post("/v1/nodes/n1/replace", &json!({})).await;
    held(&tenant).await;
    assert_eq!(own_set(&tenant, "n2").await.as_deref(), Some(set));
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
