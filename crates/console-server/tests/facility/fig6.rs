//! A tenant takes over its node; every check of a statement is provoked to fail.

use channel::{Dialler, Limits};
use console_api::{
    Confirm, Direction, Enrolment, Exit, Grant, Granted, Lease, LeasePlan, Node as Shown, NodeState,
    OpenWindow, Order, OrderState, Page, Severed, Take, Taken, TierState, Trust,
};
use id::{NodeId, Nonce};
use keys::NodeRecord;
use node_protocol::courier::Console;
use serde_json::json;
use tenure::{Quota, Rights, Terms};

use crate::node::{Consoles, Node, Vice, key};
use crate::party::{Party, until_told};

pub(crate) const BOUNDARY: &str = "version = 1\n[[allow]]\nprotocol = \"tcp\"\nremote = \"10.1.0.0/16\"\n";

pub(crate) struct World {
    pub(crate) consoles: Consoles,
    pub(crate) landlord: Party,
    pub(crate) node: Node,
}

/// A landlord with an enrolled node.
pub(crate) async fn world() -> World {
    let consoles = Consoles::default();
    let landlord = Party::new("landlord", &consoles).await;
    let node = Node::enrolled(&landlord.identity().await, &consoles);
    enrol(&landlord, &node, "n1").await;
    World { consoles, landlord, node }
}

pub(crate) async fn enrol(landlord: &Party, node: &Node, name: &str) {
    let _: Enrolment = landlord.post("/v1/enrolment", &OpenWindow { minutes: 5 }).await;
    let fingerprint = NodeId(node.fingerprint());
    let came = |window: &Enrolment| window.strangers.iter().any(|stranger| stranger.node == fingerprint);
    let window: Enrolment = landlord.until("/v1/enrolment", came).await;
    assert_eq!(window.strangers.iter().find(|stranger| stranger.node == fingerprint).unwrap().fault, None);
    let confirm = Confirm { node: fingerprint, name: name.to_owned() };
    let shown: Shown = landlord.post("/v1/enrolment/confirm", &confirm).await;
    assert_eq!((shown.name.as_str(), shown.trust), (name, Trust::Confirmed));
    let path = format!("/v1/nodes/{name}");
    let up = |node: &Shown| node.state == NodeState::Up && node.record.is_some();
    let _: Shown = landlord.until(&path, up).await;
}

pub(crate) async fn grant(landlord: &Party, tenant: &Party) -> Granted {
    landlord.post("/v1/leases", &wanted(tenant).await).await
}

pub(crate) async fn wanted(tenant: &Party) -> Grant {
    Grant {
        contract: "L-9".to_owned(),
        to: tenant.identity().await,
        name: Some("tenant-a".to_owned()),
        nodes: vec!["n1".to_owned()],
        terms: Terms::ALWAYS,
        exercise: Rights::ALL,
        grant: Rights::NONE,
        quota: Quota { tiers: 4, keys: 64, objects: 64, records_per_hour: 600, space_mib: 256 },
        boundary: BOUNDARY.to_owned(),
    }
}

pub(crate) async fn take(tenant: &Party, granted: &Granted, node_keys: Vec<String>) -> Taken {
    tenant.post("/v1/leases/take", &Take { offer: granted.offer.clone(), node_keys }).await
}

pub(crate) fn held(node: &Shown) -> bool {
    node.tiers.iter().any(|tier| tier.state == TierState::Held)
}

#[track_caller]
fn fails(taken: &Taken, check: &str) {
    let lease = &taken.leases[0];
    let failed: Vec<_> =
        lease.checks.iter().filter(|check| !check.holds).map(|check| check.check.as_str()).collect();
    assert_eq!((lease.accepted, failed), (false, vec![check]), "{:?}", lease.checks);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_takes_over_its_node_and_the_landlord_knows_its_identity_no_more() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let (first, stolen) = (node.identity("tenant-a"), node.steal("tenant-a"));

    let taken = take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted, "{taken:?}");
    assert_eq!(taken.leases[0].trust, Trust::Confirmed);
    let shown: Shown = tenant.until("/v1/nodes/n1", held).await;
    let second = node.identity("tenant-a");
    assert_ne!(first, second);
    assert_eq!(shown.tiers[0].identity, second);
    let up = |node: &Shown| node.state == NodeState::Up && node.tiers[0].connected;
    let _: Shown = tenant.until("/v1/nodes/n1", up).await;

    // Whoever had the first identity is let in no more.
    let key = tenant.identity().await.consoles[0].key;
    let addresses = vec![consoles.lock().unwrap()[&key]];
    // By TLS 1.3 the client is through before the server has looked at its key: what counts is what comes then.
    let dialled = Dialler::new(stolen, Limits::default()).dial(&Console { key, addresses }).await;
    if let Ok(dialled) = dialled {
        let limits = Limits::default();
        let served = dialled.serve(std::sync::Arc::new(crate::node::Nothing), &limits);
        tokio::time::timeout(std::time::Duration::from_secs(5), served).await.unwrap();
    }

    // What was taken once is not taken again, nor with what the landlord has now.
    fails(&take(&tenant, &granted, vec![]).await, "known");

    // The landlord severs: seen before it is done, and only if it is still so.
    let sever = json!({ "what": "L-9" });
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &sever).await;
    assert!(plan.leases[0].consequences.iter().any(|what| what == "tenant-a: ends"), "{plan:?}");
    let stale = landlord.refused("/v1/leases/sever", &json!({ "what": "L-9", "if_match": "0" })).await;
    assert_eq!((stale.code.as_str(), stale.exit), ("plan-stale", Exit::Stale as u8));
    let severed: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    assert_eq!(severed.leases[0].problem, None);
    let receipted =
        |page: &Page<Lease>| page.items.iter().any(|lease| lease.standing == "ended" && lease.receipts == 1);
    let _: Page<Lease> = landlord.until("/v1/leases", receipted).await;
    let cut = |node: &Shown| !node.tiers[0].connected && node.state == NodeState::Unknown;
    let _: Shown = tenant.until("/v1/nodes/n1", cut).await;
    let documents: console_api::Documents = landlord.get("/v1/documents/L-9").await;
    let receipt = documents.documents.last().unwrap();
    <keys::Receipt as NodeRecord>::verify(receipt.envelope.as_bytes(), None).unwrap();
    let export = landlord.text("/v1/nodes/n1/journal").await;
    journal::verify(&export, None).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_node_key_the_trust_is_the_grantors_word() {
    let World { consoles, landlord, node: _node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let taken = take(&tenant, &granted, vec![]).await;
    assert!(taken.leases[0].accepted);
    assert_eq!(taken.leases[0].trust, Trust::Grantor);
    let shown: Shown = tenant.until("/v1/nodes/n1", held).await;
    assert_eq!(shown.trust, Trust::Grantor);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_node_than_the_confirmed_one_is_not_taken() {
    let World { consoles, landlord, node: _node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let other = key().public().id();
    fails(&take(&tenant, &granted, vec![other.to_string()]).await, "node-key");
    let known: Page<Shown> = tenant.get("/v1/nodes").await;
    assert_eq!(known.items, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_or_a_missing_controller_is_noticed() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    // The landlord slips a key of its own in: the node says so in its statement.
    let mut wanted = wanted(&tenant).await;
    wanted.to.controllers.extend(landlord.identity().await.controllers);
    let granted: Granted = landlord.post("/v1/leases", &wanted).await;
    fails(&take(&tenant, &granted, vec![]).await, "controllers");
    // The landlord leaves the tenant's key out, and puts its own there.
    wanted.to.controllers.remove(0);
    wanted.name = Some("tenant-b".to_owned());
    let granted: Granted = landlord.post("/v1/leases", &wanted).await;
    fails(&take(&tenant, &granted, vec![]).await, "controllers");
    drop(node);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_differs_from_the_statement_is_noticed() {
    let World { consoles, landlord, node: _node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let changed = |change: fn(&mut Granted)| {
        let mut granted = granted.clone();
        change(&mut granted);
        granted
    };
    let other_object =
        |granted: &mut Granted| granted.offer.leases[0].boundary = "AAAAAAAAAAAAAAAAAAAAAAAA".to_owned();
    fails(&take(&tenant, &changed(other_object), vec![]).await, "boundary");
    let other_lease =
        |granted: &mut Granted| granted.offer.leases[0].lease = id::LeaseId::from_bytes([7; 16]);
    fails(&take(&tenant, &changed(other_lease), vec![]).await, "lease");
    let other_tier = |granted: &mut Granted| granted.offer.leases[0].tier = id::TierId::from_bytes([7; 16]);
    fails(&take(&tenant, &changed(other_tier), vec![]).await, "tier");
    let other_signer = |granted: &mut Granted| granted.offer.leases[0].directory = None;
    fails(&take(&tenant, &changed(other_signer), vec![]).await, "directory");
    let other_node = |granted: &mut Granted| granted.offer.leases[0].node = NodeId(key().public().id());
    fails(&take(&tenant, &changed(other_node), vec![]).await, "node-key");
    let forged = |granted: &mut Granted| {
        let statement = &mut granted.offer.leases[0].statement;
        *statement = statement.replacen("payload\":\"", "payload\":\"AAAA", 1);
    };
    fails(&take(&tenant, &changed(forged), vec![]).await, "signature");
}

/// A node whose renewal's statement is not as it should be: the tier is never held.
async fn renewal_with(vice: Vice, fault: &str) {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let first = node.identity("tenant-a");
    node.become_vicious(vice);
    let taken = take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted);
    let tier = taken.leases[0].tier.to_string();
    until_told(|line| line.contains(&tier) && line.contains(fault)).await;
    let shown: Shown = tenant.get("/v1/nodes/n1").await;
    assert!(!held(&shown), "{shown:?}");
    assert_eq!(shown.tiers[0].identity, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_names_another_nonce_is_not_taken() {
    let vice = Vice { other_nonce: Some(Nonce::from_bytes([9; 16])), ..Vice::default() };
    renewal_with(vice, "the renewal's statement: nonce: 0909").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_lets_a_foreign_key_in_is_not_taken() {
    let vice = Vice { foreign_key: Some(*key().public()), ..Vice::default() };
    renewal_with(vice, "may give orders too").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_leaves_a_key_out_is_not_taken() {
    renewal_with(Vice { missing_key: true, ..Vice::default() }, "may give no orders").await;
}

/// The node dials with the same identity again: it is asked again, and never taken for renewed.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_changes_no_identity_is_not_taken() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    node.become_vicious(Vice { same_identity: true, ..Vice::default() });
    take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    for ordered in 1..=2 {
        let answered = |order: &&Order| order.state != OrderState::Unanswered;
        let enough = |orders: &Page<Order>| orders.items.iter().filter(answered).count() >= ordered;
        let _: Page<Order> = tenant.until("/v1/orders", enough).await;
        node.reconnect();
    }
    let shown: Shown = tenant.get("/v1/nodes/n1").await;
    assert!(!held(&shown), "{shown:?}");
}

/// A node that signs with another N than before is another node: its stranger is nobody here.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_signed_by_another_node_is_not_taken() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    node.become_vicious(Vice { other_node_key: true, ..Vice::default() });
    // The window is open, so that whoever comes is seen.
    let _: Enrolment = tenant.post("/v1/enrolment", &OpenWindow { minutes: 5 }).await;
    take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    let confirmed = NodeId(node.fingerprint());
    let came = |window: &Enrolment| window.strangers.iter().any(|stranger| stranger.node != confirmed);
    let _: Enrolment = tenant.until("/v1/enrolment", came).await;
    let shown: Shown = tenant.get("/v1/nodes/n1").await;
    assert!(!held(&shown), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_obeys_others_cannot_be_confirmed() {
    let consoles = Consoles::default();
    let landlord = Party::new("landlord", &consoles).await;
    let vice = Vice { foreign_key: Some(*key().public()), ..Vice::default() };
    let node = Node::with_vice(&landlord.identity().await, &consoles, vice);
    let _: Enrolment = landlord.post("/v1/enrolment", &OpenWindow { minutes: 5 }).await;
    let came = |window: &Enrolment| !window.strangers.is_empty();
    let window: Enrolment = landlord.until("/v1/enrolment", came).await;
    assert!(window.strangers[0].fault.as_ref().unwrap().contains("may give orders too"), "{window:?}");
    let confirm = Confirm { node: NodeId(node.fingerprint()), name: "n1".to_owned() };
    let problem = landlord.refused("/v1/enrolment/confirm", &confirm).await;
    assert_eq!((problem.code.as_str(), problem.exit), ("statement-refused", Exit::Refused as u8));
    let other = Confirm { node: NodeId(key().public().id()), name: "n1".to_owned() };
    assert_eq!(landlord.refused("/v1/enrolment/confirm", &other).await.code, "not-found");
}

/// A statement of a node of the grantor's own names the identity of a tier that the tenant holds on another: it
/// must not draw that tier's connections to itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_identity_that_is_a_tiers_already_is_not_taken() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    take(&tenant, &granted, vec![]).await;
    let _: Shown = tenant.until("/v1/nodes/n1", held).await;

    let (fake, mut other) = (key(), granted.clone());
    let offered = &mut other.offer.leases[0];
    let signed = <keys::Statement as NodeRecord>::verify(offered.statement.as_bytes(), None).unwrap();
    let statement = keys::Statement {
        node: NodeId(fake.public().id()),
        node_key: *fake.public(),
        tier: id::TierId::from_bytes([8; 16]),
        lease: id::LeaseId::from_bytes([8; 16]),
        identity: Some(node.identity("tenant-a")),
        ..signed
    };
    (offered.name, offered.node) = ("n8".to_owned(), statement.node);
    (offered.tier, offered.lease) = (statement.tier, statement.lease);
    offered.statement = statement.sign(&fake).to_json();
    let taken = take(&tenant, &other, vec![]).await;
    fails(&taken, "known");
    assert!(
        taken.leases[0].checks.iter().any(|check| check.found.contains("has this identity")),
        "{taken:?}"
    );

    node.reconnect();
    let up = |node: &Shown| held(node) && node.tiers[0].connected;
    let _: Shown = tenant.until("/v1/nodes/n1", up).await;
}

/// A lease's node that comes as a stranger, and is confirmed by its fingerprint, is held no sooner than one that
/// was taken by an offer.
#[tokio::test(flavor = "multi_thread")]
async fn a_leased_node_that_is_confirmed_makes_its_keys_anew() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let _: Enrolment = tenant.post("/v1/enrolment", &OpenWindow { minutes: 5 }).await;
    grant(&landlord, &tenant).await;
    let first = node.identity("tenant-a");
    let came = |window: &Enrolment| !window.strangers.is_empty();
    let _: Enrolment = tenant.until("/v1/enrolment", came).await;
    let confirm = Confirm { node: NodeId(node.fingerprint()), name: "n1".to_owned() };
    let shown: Shown = tenant.post("/v1/enrolment/confirm", &confirm).await;
    assert!(!held(&shown), "{shown:?}");
    let shown: Shown = tenant.until("/v1/nodes/n1", held).await;
    assert_ne!(shown.tiers[0].identity, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_for_a_terminal_is_no_offer() {
    let World { consoles, landlord, node: _node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    let (mut name, mut contract) = (granted.clone(), granted);
    name.offer.leases[0].name = "n1\u{1b}[2J".to_owned();
    contract.offer.contract = "L-9\u{1b}[2J".to_owned();
    for granted in [name, contract] {
        let problem =
            tenant.refused("/v1/leases/take", &Take { offer: granted.offer, node_keys: vec![] }).await;
        assert_eq!((problem.code.as_str(), problem.exit), ("malformed-request", Exit::Usage as u8));
        assert!(!problem.message.contains('\u{1b}'), "{problem:?}");
    }
}

/// The same scheme at every depth: who was leased to leases on, to a party that the root has never heard of.
#[tokio::test(flavor = "multi_thread")]
async fn three_tiers_have_a_console_each_and_the_root_ends_all_below() {
    let World { consoles, landlord, node } = world().await;
    let operator = Party::new("operator", &consoles).await;
    let user = Party::new("user", &consoles).await;
    let lent = Grant { grant: Rights::ALL, name: None, ..wanted(&operator).await };
    let granted: Granted = landlord.post("/v1/leases", &lent).await;
    take(&operator, &granted, vec![node.fingerprint().to_string()]).await;
    let speaks = |node: &Shown| held(node) && node.tiers[0].connected && node.record.is_some();
    let _: Shown = operator.until("/v1/nodes/n1", speaks).await;

    let below = Grant { contract: "L-10".to_owned(), name: None, ..wanted(&user).await };
    let below = Grant {
        quota: Quota { tiers: 1, keys: 8, objects: 8, records_per_hour: 60, space_mib: 256 },
        ..below
    };
    let granted: Granted = operator.post("/v1/leases", &below).await;
    assert_eq!(granted.failed, []);
    take(&user, &granted, vec![node.fingerprint().to_string()]).await;
    let _: Shown = user.until("/v1/nodes/n1", speaks).await;

    let seen = |page: &Page<Lease>| page.items.iter().any(|lease| lease.direction == Direction::Below);
    let leases: Page<Lease> = landlord.until("/v1/leases", seen).await;
    let below = leases.items.iter().find(|lease| lease.direction == Direction::Below).unwrap();
    assert_eq!((below.name.as_str(), below.contract.as_deref()), ("user", Some("L-10")));
    // What is not below a console's own tier is not its to sever: it does not even learn whether it is there.
    let upwards = user.refused("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    assert_eq!(upwards.exit, Exit::NotFound as u8);
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    let ends = |name: &str| plan.leases[0].consequences.iter().any(|what| *what == format!("{name}: ends"));
    assert!(ends("operator") && ends("user"), "{plan:?}");
    let _: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    let cut = |node: &Shown| !node.tiers[0].connected;
    let _: Shown = user.until("/v1/nodes/n1", cut).await;
    let _: Shown = operator.until("/v1/nodes/n1", cut).await;
}
