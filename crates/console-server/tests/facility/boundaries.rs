//! Filter sets through consoles: planned, applied, refused with a packet, shown.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use console_api::{BoundaryChange, BoundaryDenials, BoundaryPlan, BoundaryShown, Matrix, Page, Replay};
use serde_json::json;

use crate::fig6::{BOUNDARY, World, enrol, grant, world};
use crate::node::{Node, Vice};
use crate::party::Party;

const NARROWER: &str = "version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.5.0/24\"\n";
const TRIED: &str = "version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.5.7\"\n";
const WIDER: &str = "version = 1\n[[allow]]\nprotocol = \"udp\"\nremote = \"10.1.5.0/24\"\n";

fn change(text: &str, of: Option<&str>) -> BoundaryChange {
    BoundaryChange {
        text: text.to_owned(),
        of: of.map(str::to_owned),
        nodes: Vec::new(),
        if_match: None,
        try_seconds: None,
    }
}

/// Everybody is asked about it, and waits for it once.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_answer_delays_the_matrix_once() {
    let World { consoles, landlord, node: one } = world().await;
    let identity = landlord.identity().await;
    let mute = Vice { mute_about_packets: true, ..Vice::default() };
    let (two, mute) = (Node::enrolled(&identity, &consoles), Node::with_vice(&identity, &consoles, mute));
    enrol(&landlord, &two, "n2").await;
    enrol(&landlord, &mute, "n3").await;
    for (node, number) in [(&one, 1), (&two, 2), (&mute, 3)] {
        node.with_address([10, 1, 0, number].into());
    }
    let question = json!({ "protocol": 6, "port": 80 });
    let deadline = Instant::now() + Duration::from_secs(300);
    let matrix = loop {
        let began = Instant::now();
        let matrix: Matrix = landlord.post("/v1/boundaries/matrix", &question).await;
        // An answer that never comes would be waited for for a minute, and for each question again.
        assert!(began.elapsed() < Duration::from_secs(50), "{:?}", began.elapsed());
        let is_mute = |realm: usize| matrix.realms[realm].node_name == "n3";
        let mut known = matrix.pairs.iter().filter(|pair| !is_mute(pair.from) && !is_mute(pair.to));
        // A node that answers may be late once on a busy machine.
        if matrix.realms.len() == 3 && known.all(|pair| pair.pass.is_some()) {
            break matrix;
        }
        assert!(Instant::now() < deadline, "{matrix:?}");
    };
    let name = |realm: usize| matrix.realms[realm].node_name.as_str();
    assert_eq!(matrix.pairs.len(), 6);
    for pair in &matrix.pairs {
        let known = name(pair.from) != "n3" && name(pair.to) != "n3";
        assert_eq!(pair.pass, known.then_some(true), "{pair:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_boundary_is_planned_applied_and_refused_with_a_packet() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let take = json!({ "offer": granted.offer, "node_keys": [node.fingerprint()] });
    let _: console_api::Taken = tenant.post("/v1/leases/take", &take).await;
    let held = |node: &console_api::Node| {
        node.tiers.iter().any(|tier| tier.connected && tier.state == console_api::TierState::Held)
    };
    let _: console_api::Node = tenant.until("/v1/nodes/n1", held).await;

    // The tenant's own set: narrower than what was given.
    let plan: BoundaryPlan = tenant.post("/v1/boundaries/plan", &change(NARROWER, None)).await;
    assert!(plan.changes && plan.targets[0].problem.is_none(), "{plan:?}");
    let stale = BoundaryChange { if_match: Some("0".to_owned()), ..change(NARROWER, None) };
    assert_eq!(tenant.refused("/v1/boundaries", &stale).await.exit, 6);
    let planned = BoundaryChange { if_match: Some(plan.plan), ..change(NARROWER, None) };
    let applied: BoundaryPlan = tenant.post("/v1/boundaries", &planned).await;
    assert!(applied.targets[0].order.is_some(), "{applied:?}");
    let so = |sets: &Page<BoundaryShown>| sets.items.iter().any(|set| set.text.as_deref() == Some(NARROWER));
    let shown: Page<BoundaryShown> = tenant.until("/v1/boundaries", so).await;
    let which: Vec<_> = shown.items.iter().map(|set| set.which.as_str()).collect();
    assert_eq!(which, ["given", "own"]);
    assert_eq!(shown.items[0].text.as_deref(), Some(BOUNDARY));
    // Written otherwise, it is the same set: nothing changes, nothing is ordered.
    let same = "# as before\nversion = 1\nallow = [{ protocol = 6, remote = [\"10.1.5.0-10.1.5.255\"] }]\n";
    let again: BoundaryPlan = tenant.post("/v1/boundaries", &change(same, None)).await;
    assert!(!again.changes && again.targets[0].order.is_none(), "{again:?}");

    // Another one is tried: it is shown as such, and the same again without a time keeps it.
    let tried = BoundaryChange { try_seconds: NonZeroU32::new(600), ..change(TRIED, None) };
    assert_eq!(
        tenant
            .refused("/v1/boundaries", &BoundaryChange { of: Some("L-9".into()), ..tried.clone() })
            .await
            .exit,
        2
    );
    let applied: BoundaryPlan = tenant.post("/v1/boundaries", &tried).await;
    assert!(applied.targets[0].order.is_some(), "{applied:?}");
    let on_trial = |sets: &Page<BoundaryShown>| sets.items.iter().any(|set| set.tried_until.is_some());
    let shown: Page<BoundaryShown> = tenant.until("/v1/boundaries", on_trial).await;
    assert_eq!(shown.items[1].text.as_deref(), Some(TRIED));
    let kept: BoundaryPlan = tenant.post("/v1/boundaries", &change(TRIED, None)).await;
    assert!(kept.targets[0].tried_until.is_some() && kept.targets[0].order.is_some(), "{kept:?}");
    let settled = |sets: &Page<BoundaryShown>| sets.items.iter().all(|set| set.tried_until.is_none());
    let _: Page<BoundaryShown> = tenant.until("/v1/boundaries", settled).await;

    // One realm reaches no other. What it drops is told.
    let matrix: Matrix = tenant.post("/v1/boundaries/matrix", &json!({ "protocol": 6, "port": 80 })).await;
    assert!(matrix.realms.len() <= 1 && matrix.pairs.is_empty(), "{matrix:?}");
    let denials: BoundaryDenials = tenant.post("/v1/boundaries/denials", &json!({ "node": "n1" })).await;
    assert_eq!(denials.node_name, "n1");

    // Of what had passed, this one would drop what it does not admit, and says so only of what passes now.
    let replay: Replay = tenant.post("/v1/boundaries/replay", &json!({ "text": "version = 1\n" })).await;
    let dropped = &replay.realms[0].dropped;
    assert_eq!((replay.realms[0].kinds, replay.realms[0].seconds, dropped.len()), (2, 1800, 1), "{replay:?}");
    assert_eq!((&dropped[0].packet["remote"], dropped[0].flows), (&json!("10.1.5.7"), 3));
    let replay: Replay = tenant.post("/v1/boundaries/replay", &json!({ "text": TRIED })).await;
    assert!(replay.realms[0].dropped.is_empty(), "{replay:?}");
    assert_eq!(tenant.refused("/v1/boundaries/replay", &json!({ "text": "version = 2" })).await.exit, 2);

    // A wider one is refused by the plan already, with a packet; the node is not even asked.
    let plan: BoundaryPlan = tenant.post("/v1/boundaries/plan", &change(WIDER, None)).await;
    let problem = plan.targets[0].problem.as_ref().unwrap();
    assert_eq!((problem.code.as_str(), problem.exit), ("exceeds-boundary", 3));
    assert_eq!(problem.details.as_ref().unwrap()["witness"]["packet"]["protocol"], 17);
    assert_eq!(tenant.refused("/v1/boundaries/plan", &change("version = 2", None)).await.exit, 2);

    // The landlord changes what it gave.
    let plan: BoundaryPlan = landlord.post("/v1/boundaries/plan", &change(WIDER, Some("L-9"))).await;
    assert!(plan.changes && plan.targets[0].problem.is_none(), "{plan:?}");
    let applied: BoundaryPlan = landlord.post("/v1/boundaries", &change(WIDER, Some("L-9"))).await;
    assert!(applied.targets[0].order.is_some(), "{applied:?}");
    assert_eq!(landlord.refused("/v1/boundaries/plan", &change(WIDER, Some("L-10"))).await.exit, 5);
}
