//! A console that starts again, with what it knew and without.

use std::path::Path;

use console_api::{Direction, Lease, Node as Shown, NodeState, Order, Page};
use serde_json::json;

use crate::fig6::{World, enrol, grant, world};
use crate::node::Vice;
use crate::party::{Party, STORE, until, until_told};

fn suspend(tier: id::TierId) -> serde_json::Value {
    json!({ "node": "n1", "verb": "suspend", "args": { "tier": tier } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_starts_again_knows_its_nodes() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let landlord = landlord.restart(&consoles, false).await;
    let up = |node: &Shown| node.state == NodeState::Up;
    let _: Shown = landlord.until("/v1/nodes/n1", up).await;
    let order: Order = landlord.post("/v1/orders", &suspend(node.tier("tenant-a"))).await;
    assert_eq!(order.seq.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_without_its_store_rebuilds_it_from_its_nodes() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let landlord = landlord.restart(&consoles, true).await;
    let none: Page<Shown> = landlord.get("/v1/nodes").await;
    assert_eq!(none.items, []);
    enrol(&landlord, &node, "n1").await;
    let leases: Page<Lease> = landlord.get("/v1/leases").await;
    let lease = leases.items.iter().find(|lease| lease.direction == Direction::Granted).unwrap();
    assert_eq!(lease.lease, granted.offer.leases[0].lease);
    assert_eq!((lease.contract.as_deref(), lease.standing.as_str()), (Some("L-9"), "in-force"));
    // No number is used twice: there is a gap above the highest that the node saw.
    let order: Order = landlord.post("/v1/orders", &suspend(node.tier("tenant-a"))).await;
    assert!(order.seq.get() > 1000, "{}", order.seq);
    let severing = json!({ "what": "L-9" });
    let plan: console_api::LeasePlan = landlord.post("/v1/leases/sever/plan", &severing).await;
    assert_eq!(plan.leases.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_gives_no_journal_keeps_nobody_from_the_list() {
    let World { consoles: _consoles, landlord, node } = world().await;
    node.become_vicious(Vice { mute_journal: true, ..Vice::default() });
    node.reconnect();
    until("who asks for the journal", || node.is_waited_for()).await;
    // The console waits for the journal longer than this client waits for the console.
    let nodes: Page<Shown> = landlord.get("/v1/nodes").await;
    assert_eq!(nodes.items.len(), 1);
}

/// Saying that the records which were read are gone does not make an older journal a new one.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_journal_is_refused_however_it_comes() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    node.become_vicious(Vice { older_journal: true, ..Vice::default() });
    node.reconnect();
    until_told(|line| line.contains("the journal of node n1 is shorter than it was")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_whose_older_store_was_put_back_uses_no_number_twice() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let older = tempfile::tempdir().unwrap();
    let keep = |folder: &Path| {
        for file in STORE.iter().filter(|file| folder.join(file).exists()) {
            std::fs::copy(folder.join(file), older.path().join(file)).unwrap();
        }
    };
    let landlord = landlord.restart_after(&consoles, keep).await;
    let up = |node: &Shown| node.state == NodeState::Up;
    let _: Shown = landlord.until("/v1/nodes/n1", up).await;
    let tier = node.tier("tenant-a");
    let last: Order = landlord.post("/v1/orders", &suspend(tier)).await;
    let put_back = |folder: &Path| {
        for file in STORE {
            drop(std::fs::remove_file(folder.join(file)));
            drop(std::fs::copy(older.path().join(file), folder.join(file)));
        }
    };
    let landlord = landlord.restart_after(&consoles, put_back).await;
    let _: Shown = landlord.until("/v1/nodes/n1", up).await;
    let next: Order = landlord.post("/v1/orders", &suspend(tier)).await;
    // Orders may have been signed after the last that came.
    assert!(next.seq.get() > last.seq.get() + 1000, "{} after {}", next.seq, last.seq);
}
