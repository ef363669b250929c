//! A console that dies in the middle of a grant: what the node has obeyed is offered by the next one, and
//! what it has not is granted anew.

use console_api::{
    Grant, Granted, LeasePlan, Node as Shown, NodeState, Offer, Order, OrderState, Page, Reassign, TierState,
};
use id::KeyId;
use serde::Serialize;
use serde_json::json;

use crate::fig6::{World, enrol, grant, take, wanted, world};
use crate::node::{Consoles, Node, Vice};
use crate::party::{Party, until};

const OFFER: &str = "/v1/contracts/L-9/offer";

async fn signer(party: &Party) -> KeyId {
    party.identity().await.controllers[0].key.id()
}

fn up(node: &Shown) -> bool {
    node.state == NodeState::Up
}

/// Asks for something, and ends the console once `is_sent`: it hears no answer, and reads nothing of it in a
/// journal.
async fn dies(
    landlord: Party,
    consoles: &Consoles,
    nodes: &[&Node],
    (path, body): (&str, &impl Serialize),
    is_sent: impl Fn() -> bool,
) -> Party {
    for node in nodes {
        node.become_vicious(Vice { mute_journal: true, ..Vice::default() });
    }
    tokio::select! {
        granted = landlord.post::<Granted>(path, body) => panic!("{granted:?}"),
        () = until("the order", is_sent) => {}
    }
    // Who waits for the node would hold the store of a console that is no process of its own.
    nodes.iter().for_each(|node| node.go_away());
    let landlord = landlord.restart(consoles, false).await;
    for node in nodes {
        node.become_vicious(Vice::default());
        node.reconnect();
    }
    landlord
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nodes_have_leased_is_offered_though_the_console_died_before_their_answer() {
    let World { consoles, landlord, node: one } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let two = Node::enrolled(&landlord.identity().await, &consoles);
    enrol(&landlord, &two, "n2").await;
    let wanted = Grant { nodes: vec!["n1".to_owned(), "n2".to_owned()], ..wanted(&tenant).await };
    let (both, signer) = ([&one, &two], signer(&landlord).await);
    both.iter().for_each(|node| node.lose_answers(1));
    let leased = || both.iter().all(|node| node.last_sequence(signer) == 1);
    let landlord = dies(landlord, &consoles, &both, ("/v1/leases", &wanted), leased).await;
    let offer: Offer = landlord.until(OFFER, |offer: &Offer| offer.leases.len() == 2).await;
    for lease in &offer.leases {
        let node = if lease.name == "n1" { &one } else { &two };
        assert_eq!(lease.tier, node.tier("tenant-a"));
    }
    let orders: Page<Order> = landlord.get("/v1/orders").await;
    let made = |order: &Order| {
        let accepted = order.accepted.as_ref();
        accepted.is_some_and(|made| offer.leases.iter().any(|lease| made.lease == Some(lease.lease)))
    };
    assert!(orders.items.len() == 2 && orders.items.iter().all(made), "{orders:?}");
    // Once is enough: neither another start nor another grant makes it otherwise.
    let landlord = landlord.restart(&consoles, false).await;
    let again: Offer = landlord.get(OFFER).await;
    assert_eq!(again, offer);
    for name in ["n1", "n2"] {
        let _: Shown = landlord.until(&format!("/v1/nodes/{name}"), up).await;
    }
    assert_eq!(landlord.refused("/v1/leases", &wanted).await.code, "name-taken");
    assert_eq!(landlord.get::<Offer>(OFFER).await, offer);
    let granted = Granted { offer, failed: Vec::new() };
    let keys = both.map(|node| node.fingerprint().to_string()).to_vec();
    let taken = take(&tenant, &granted, keys).await;
    assert!(taken.leases.iter().all(|lease| lease.accepted), "{taken:?}");
}

/// The console may die before it has read the journal as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_nodes_answer_is_enough_to_offer_what_it_has_leased() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    node.become_vicious(Vice { mute_journal: true, ..Vice::default() });
    let granted = grant(&landlord, &tenant).await;
    node.go_away();
    let landlord = landlord.restart(&consoles, false).await;
    assert_eq!(landlord.get::<Offer>(OFFER).await, granted.offer);
}

/// The node's journal begins after it: what is there is known by its boundary.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_leased_is_offered_though_it_has_forgotten_when() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let signer = signer(&landlord).await;
    node.lose_answers(1);
    let wanted = wanted(&tenant).await;
    let leased = || {
        let leased = node.last_sequence(signer) == 1;
        if leased {
            node.forget_the_past();
        }
        leased
    };
    let landlord = dies(landlord, &consoles, &[&node], ("/v1/leases", &wanted), leased).await;
    let offer: Offer = landlord.until(OFFER, |_: &Offer| true).await;
    assert_eq!(offer.leases[0].tier, node.tier("tenant-a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_not_leased_is_not_offered_and_is_granted_anew() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    node.lose_orders(1);
    let lost = Grant { contract: "L-8".to_owned(), ..wanted(&tenant).await };
    let landlord =
        dies(landlord, &consoles, &[&node], ("/v1/leases", &lost), || node.has_lost_orders()).await;
    let _: Shown = landlord.until("/v1/nodes/n1", up).await;
    let offer = "/v1/contracts/L-8/offer";
    let open = landlord.has_no(offer).await;
    assert!(open.message.contains("node n1 has not said yet"), "{open:?}");
    // A later order has been obeyed: the lost one never will be.
    let granted = grant(&landlord, &tenant).await;
    assert_eq!(granted.offer.leases[0].tier, node.tier("tenant-a"));
    let none = "this console granted no lease under contract \"L-8\"";
    landlord.until_it_has_no(offer, none).await;
    // What is refused is granted to nobody, and that is known at once.
    assert_eq!(landlord.refused("/v1/leases", &lost).await.code, "name-taken");
    assert_eq!(landlord.has_no(offer).await.message, none);
    assert_eq!(landlord.get::<Offer>(OFFER).await, granted.offer);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_has_handed_on_is_offered_though_the_console_died_before_its_answer() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let first = grant(&landlord, &tenant).await;
    let next = Party::new("tenant-b", &consoles).await;
    let mut wanted = Reassign {
        what: "L-9".to_owned(),
        nodes: Vec::new(),
        contract: "L-11".to_owned(),
        to: next.identity().await,
        keep: Vec::new(),
        if_match: None,
    };
    let plan: LeasePlan = landlord.post("/v1/leases/reassign/plan", &wanted).await;
    wanted.if_match = Some(plan.plan);
    let signer = signer(&landlord).await;
    node.lose_answers(1);
    let handed_on = || node.last_sequence(signer) == 2;
    let landlord = dies(landlord, &consoles, &[&node], ("/v1/leases/reassign", &wanted), handed_on).await;
    let offer: Offer = landlord.until("/v1/contracts/L-11/offer", |_: &Offer| true).await;
    assert_eq!(offer.leases[0].tier, first.offer.leases[0].tier);
    assert_ne!(offer.leases[0].lease, first.offer.leases[0].lease);
    landlord.has_no(OFFER).await;
    let granted = Granted { offer, failed: Vec::new() };
    let taken = take(&next, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted, "{taken:?}");
    let held = |node: &Shown| node.tiers.iter().any(|tier| tier.state == TierState::Held);
    let _: Shown = next.until("/v1/nodes/n1", held).await;
    let orders: Page<Order> = landlord.get("/v1/orders").await;
    let states: Vec<_> = orders.items.iter().map(|order| (order.verb.as_str(), order.state)).collect();
    assert_eq!(
        states,
        [("lease", OrderState::Accepted), ("reassign", OrderState::Accepted)],
        "{}",
        json!(states)
    );
}
