//! Orders through a console: numbers, refusals, answers that were lost.

use console_api::{
    BoundaryPlan, Exit, Grant, Granted, Lease, LeasePlan, NewOrder, Order, OrderState, Page, Severed,
};
use serde_json::json;
use std::time::Duration;

use crate::fig6::{World, enrol, grant, wanted, world};
use crate::node::Node;
use crate::party::{Party, until};

fn order(verb: &str, args: serde_json::Value) -> NewOrder {
    NewOrder { node: "n1".to_owned(), tier: None, verb: verb.to_owned(), args, objects: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_comes_as_the_node_said_it_and_numbers_only_grow() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    // The name is taken: the node's code, hint and details.
    let problem = landlord.refused("/v1/leases", &wanted(&tenant).await).await;
    assert_eq!((problem.code.as_str(), problem.exit), ("name-taken", 3));
    assert_eq!(problem.hint.as_deref(), Some("a hint of the node's"));
    assert_eq!(problem.details.unwrap()["name"], "tenant-a");

    let suspend = order("suspend", json!({ "tier": node.tier("tenant-a") }));
    let done: Order = landlord.post("/v1/orders", &suspend).await;
    assert_eq!(done.state, OrderState::Accepted);
    let shown: Order = landlord.get(&format!("/v1/orders/{}", done.order)).await;
    assert_eq!(shown, done);
    let all: Page<Order> = landlord.get("/v1/orders?limit=2").await;
    assert_eq!(all.items.iter().map(|order| order.verb.as_str()).collect::<Vec<_>>(), ["lease", "lease"]);
    let rest: Page<Order> = landlord.get(&format!("/v1/orders?after={}", all.next.unwrap())).await;
    assert_eq!(rest.items, [done]);
    let numbers: Vec<u64> = all.items.iter().chain(&rest.items).map(|order| order.seq.get()).collect();
    assert_eq!(numbers, [1, 2, 3]);

    let nonsense = landlord.refused("/v1/orders", &order("suspend", json!({ "tiger": 1 }))).await;
    assert_eq!((nonsense.code.as_str(), nonsense.exit), ("malformed-request", Exit::Usage as u8));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_answer_was_lost_is_found_in_the_journal() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    node.lose_answers(1);
    let suspend = order("suspend", json!({ "tier": node.tier("tenant-a") }));
    let asked = async { landlord.refused("/v1/orders", &suspend).await };
    let cut = async {
        // Once the node has it on record, the connection goes.
        let signer = landlord.identity().await.controllers[0].key.id();
        until("the order's record", || node.last_sequence(signer) >= 2).await;
        node.reconnect();
    };
    let (problem, ()) = tokio::join!(asked, cut);
    assert_eq!(problem.code, "unanswered", "{problem:?}");
    let settled =
        |orders: &Page<Order>| orders.items.len() == 2 && orders.items[1].state == OrderState::Accepted;
    let _: Page<Order> = landlord.until("/v1/orders", settled).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_given_at_once_get_through_one_after_the_other() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let tier = node.tier("tenant-a");
    let landlord = std::sync::Arc::new(landlord);
    let mut given = tokio::task::JoinSet::new();
    for number in 0..8 {
        let verb = if number % 2 == 0 { "suspend" } else { "resume" };
        let (order, landlord) = (order(verb, json!({ "tier": tier })), std::sync::Arc::clone(&landlord));
        given.spawn(async move { landlord.post::<Order>("/v1/orders", &order).await.seq.get() });
    }
    let mut numbers = given.join_all().await;
    numbers.sort_unstable();
    assert_eq!(numbers, (2..10).collect::<Vec<u64>>());
}

/// A tier that was just taken over dials with another identity a moment later.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_waits_a_moment_for_a_node_that_was_here_a_moment_ago() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    grant(&landlord, &tenant).await;
    let away = |node: &console_api::Node| !node.tiers[0].connected;
    let order = |verb: &str| order(verb, json!({ "tier": node.tier("tenant-a") }));
    node.go_away();
    let _: console_api::Node = landlord.until("/v1/nodes/n1", away).await;
    let comes = async {
        // Long enough that an order that does not wait is refused by then.
        tokio::time::sleep(Duration::from_millis(300)).await;
        node.reconnect();
    };
    let suspend = order("suspend");
    let (given, ()) = tokio::join!(landlord.post::<Order>("/v1/orders", &suspend), comes);
    assert_eq!(given.state, OrderState::Accepted);
    node.go_away();
    let _: console_api::Node = landlord.until("/v1/nodes/n1", away).await;
    let problem = landlord.refused("/v1/orders", &order("resume")).await;
    assert_eq!(problem.code, "node-unreachable");
    assert!(problem.message.contains("was waited for"), "{}", problem.message);
}

fn is_set(order: &Order, node: &id::NodeId) -> bool {
    order.node == *node && order.verb == "boundary" && order.state == OrderState::Accepted
}

/// Two nodes are leased; the one that the console comes to first does not answer to its next order.
async fn one_of_two_is_mute() -> (World, Node, LeasePlan) {
    let world = world().await;
    let World { consoles, landlord, node: one } = &world;
    let tenant = Party::new("tenant-a", consoles).await;
    let two = Node::enrolled(&landlord.identity().await, consoles);
    enrol(landlord, &two, "n2").await;
    let wanted = Grant { nodes: vec!["n1".to_owned(), "n2".to_owned()], ..wanted(&tenant).await };
    let granted: Granted = landlord.post("/v1/leases", &wanted).await;
    assert_eq!(granted.offer.leases.len(), 2);
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    let first = if plan.leases[0].node_name == "n1" { one } else { &two };
    first.lose_answers(1);
    (world, two, plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_keeps_no_other_from_severing() {
    let (World { landlord, node: _one, .. }, _two, plan) = one_of_two_is_mute().await;
    let other = &plan.leases[1].node_name;
    let sever = json!({ "what": "L-9", "if_match": plan.plan });
    let ended = |page: &Page<Lease>| {
        page.items.iter().any(|lease| lease.node_name == *other && lease.standing == "ended")
    };
    tokio::select! {
        severed = landlord.post::<Severed>("/v1/leases/sever", &sever) => panic!("{severed:?}"),
        _ = landlord.until::<Page<Lease>>("/v1/leases", ended) => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_keeps_no_other_from_its_boundary() {
    let (World { landlord, node: _one, .. }, _two, plan) = one_of_two_is_mute().await;
    let closed = json!({ "of": "L-9", "nodes": [], "text": "version = 1\n" });
    let set = |page: &Page<Order>| page.items.iter().any(|order| is_set(order, &plan.leases[1].node));
    tokio::select! {
        applied = landlord.post::<BoundaryPlan>("/v1/boundaries", &closed) => panic!("{applied:?}"),
        _ = landlord.until::<Page<Order>>("/v1/orders", set) => {}
    }
}
