//! What is done to leases when somebody is not there: severed, handed on, told by a receipt alone.

use console_api::{
    Consented, Document, Documents, Exit, Grant, Granted, Lease, LeasePlan, Node as Shown, Page, Reassign,
    Severed, TierState,
};
use serde_json::json;
use tenure::Rights;

use crate::fig6::{World, grant, held, take, wanted, world};
use crate::party::{Party, until_told};

fn speaks(node: &Shown) -> bool {
    held(node) && node.tiers[0].connected && node.record.is_some()
}

/// What fits into the other.
fn small(mut quota: tenure::Quota) -> tenure::Quota {
    (quota.tiers, quota.keys, quota.objects, quota.records_per_hour) = (1, 8, 8, 60);
    quota
}

/// The landlord severs while the node is away: it is told so, and it happens when the node comes, without anybody
/// asking again; also if the console was restarted meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_is_severed_when_it_comes() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    let _: Shown = tenant.until("/v1/nodes/n1", speaks).await;
    node.go_away();
    let away = |node: &Shown| !node.tiers[0].connected;
    let _: Shown = landlord.until("/v1/nodes/n1", away).await;
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    assert_eq!(
        (plan.leases[0].connected, plan.risks.as_slice()),
        (false, ["destroy-data".to_owned()].as_slice())
    );
    let severed: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    let problem = severed.leases[0].problem.as_ref().unwrap();
    assert_eq!((problem.code.as_str(), severed.leases[0].queued), ("node-unreachable", true));
    assert!(problem.hint.as_ref().unwrap().contains("as soon as it comes"), "{problem:?}");
    let leases: Page<Lease> = landlord.get("/v1/leases").await;
    assert!(leases.items.iter().any(|lease| lease.standing == "severing-queued"), "{leases:?}");
    let landlord = landlord.restart(&consoles, false).await;
    node.reconnect();
    let over =
        |page: &Page<Lease>| page.items.iter().any(|lease| lease.standing == "ended" && lease.receipts == 1);
    let _: Page<Lease> = landlord.until("/v1/leases", over).await;
}

/// Who was severed hears nothing; the node's receipt, brought by whoever has it, tells.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_from_above_ends_the_lease_here() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    let _: Shown = tenant.until("/v1/nodes/n1", speaks).await;
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    let _: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    let over =
        |page: &Page<Lease>| page.items.iter().any(|lease| lease.standing == "ended" && lease.receipts == 1);
    let _: Page<Lease> = landlord.until("/v1/leases", over).await;
    let documents: Documents = landlord.get("/v1/documents/L-9").await;
    let receipt = &documents.documents.last().unwrap().envelope;

    let shown: Shown = tenant.get("/v1/nodes/n1").await;
    assert_eq!(shown.tiers[0].state, TierState::Held);
    // A statement is no receipt, and one by another node says nothing of this one.
    let statement = json!({ "envelope": granted.offer.leases[0].statement });
    assert_eq!(tenant.refused("/v1/receipts", &statement).await.exit, Exit::Usage as u8);
    let other = world().await;
    let _: Shown = tenant.get("/v1/nodes/n1").await;
    let foreign = other.landlord.refused("/v1/receipts", &json!({ "envelope": receipt })).await;
    assert_eq!(foreign.exit, Exit::NotFound as u8);
    // Nor does it end what the grantor itself holds.
    let own = landlord.refused("/v1/receipts", &json!({ "envelope": receipt })).await;
    assert_eq!(own.exit, Exit::NotFound as u8);
    let taken: Document = tenant.post("/v1/receipts", &json!({ "envelope": receipt })).await;
    assert_eq!(taken.envelope, *receipt);
    let shown: Shown = tenant.get("/v1/nodes/n1").await;
    assert_eq!(shown.tiers[0].state, TierState::Ended);
    let leases: Page<Lease> = tenant.get("/v1/leases").await;
    assert_eq!((leases.items[0].standing.as_str(), leases.items[0].receipts), ("ended", 1));
}

/// The root ends a lease that somebody further below granted, and has the node's word for it, though the tier is gone.
#[tokio::test(flavor = "multi_thread")]
async fn the_receipt_of_a_lease_further_below_is_found() {
    let World { consoles, landlord, node } = world().await;
    let operator = Party::new("operator", &consoles).await;
    let user = Party::new("user", &consoles).await;
    let lent = Grant { grant: Rights::ALL, name: Some("operator".to_owned()), ..wanted(&operator).await };
    let granted: Granted = landlord.post("/v1/leases", &lent).await;
    take(&operator, &granted, vec![]).await;
    let _: Shown = operator.until("/v1/nodes/n1", speaks).await;
    let quota = small(lent.quota);
    let below =
        Grant { contract: "L-10".to_owned(), name: Some("user".to_owned()), quota, ..wanted(&user).await };
    let _: Granted = operator.post("/v1/leases", &below).await;
    let seen = |page: &Page<Lease>| page.items.iter().any(|lease| lease.contract.as_deref() == Some("L-10"));
    let _: Page<Lease> = landlord.until("/v1/leases", seen).await;
    let plan: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-10" })).await;
    let _: Severed =
        landlord.post("/v1/leases/sever", &json!({ "what": "L-10", "if_match": plan.plan })).await;
    let gone = node.tier("operator");
    let over = |page: &Page<Lease>| {
        let user = page.items.iter().find(|lease| lease.contract.as_deref() == Some("L-10"));
        user.is_some_and(|lease| lease.standing == "ended" && lease.receipts == 1 && lease.tier != gone)
    };
    let leases: Page<Lease> = landlord.until("/v1/leases", over).await;
    let user = leases.items.iter().find(|lease| lease.contract.as_deref() == Some("L-10")).unwrap();
    assert_eq!(user.direction, console_api::Direction::Below);
    let documents: Documents = landlord.get("/v1/documents/L-10").await;
    let kinds: Vec<_> = documents.documents.iter().map(|document| document.kind).collect();
    assert_eq!(kinds.last(), Some(&console_api::DocumentKind::Receipt));
}

/// Another operator takes over with the one before offline: what is below stays in place, and where it consented it
/// does not even notice.
#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_handed_on_with_what_is_below_in_its_place() {
    let World { consoles, landlord, node } = world().await;
    let operator = Party::new("operator", &consoles).await;
    let user = Party::new("user", &consoles).await;
    let lent = Grant { grant: Rights::ALL, name: Some("operator".to_owned()), ..wanted(&operator).await };
    let granted: Granted = landlord.post("/v1/leases", &lent).await;
    take(&operator, &granted, vec![node.fingerprint().to_string()]).await;
    let _: Shown = operator.until("/v1/nodes/n1", speaks).await;
    let below = Grant {
        contract: "L-10".to_owned(),
        name: Some("user".to_owned()),
        quota: small(lent.quota),
        ..wanted(&user).await
    };
    let granted: Granted = operator.post("/v1/leases", &below).await;
    take(&user, &granted, vec![node.fingerprint().to_string()]).await;
    let before: Shown = user.until("/v1/nodes/n1", speaks).await;
    drop(operator);

    let next = Party::new("operator-2", &consoles).await;
    let mut wanted = Reassign {
        what: "L-9".to_owned(),
        nodes: Vec::new(),
        contract: "L-11".to_owned(),
        to: next.identity().await,
        keep: vec!["user".to_owned()],
        if_match: None,
    };
    let plan: LeasePlan = landlord.post("/v1/leases/reassign/plan", &wanted).await;
    let no = plan.leases[0].problem.as_ref().unwrap();
    assert_eq!(no.code, "no-consent", "{plan:?}");
    let consent = json!({ "what": "operator", "to": next.identity().await });
    let consented: Consented = user.post("/v1/leases/consent", &consent).await;
    assert_eq!((consented.orders.len(), consented.failed.len()), (1, 0));
    let has_come = |plan: &LeasePlan| plan.leases[0].problem.is_none();
    // The landlord hears of the consent from the node's journal.
    let mut plan: LeasePlan = landlord.post("/v1/leases/reassign/plan", &wanted).await;
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while !has_come(&plan) {
        assert!(std::time::Instant::now() < deadline, "{plan:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        plan = landlord.post("/v1/leases/reassign/plan", &wanted).await;
    }
    assert_eq!(plan.risks, ["destroy-data"]);
    let stale = Reassign { if_match: Some("0".to_owned()), ..wanted.clone() };
    assert_eq!(landlord.refused("/v1/leases/reassign", &stale).await.exit, Exit::Stale as u8);
    wanted.if_match = Some(plan.plan);
    let granted: Granted = landlord.post("/v1/leases/reassign", &wanted).await;
    assert_eq!((granted.offer.contract.as_str(), granted.failed.as_slice()), ("L-11", [].as_slice()));
    let taken = take(&next, &granted, vec![node.fingerprint().to_string()]).await;
    assert!(taken.leases[0].accepted, "{taken:?}");
    // Its keys are not made anew before the user has consented to that as well: it would lose its data.
    let tier = taken.leases[0].tier.to_string();
    until_told(|line| line.contains(&tier) && line.contains("once user consented")).await;
    let _: Consented = user.post("/v1/leases/consent", &json!({ "what": "operator" })).await;
    let _: Shown = next.until("/v1/nodes/n1", speaks).await;
    let after: Shown = user.until("/v1/nodes/n1", speaks).await;
    assert_eq!(after.tiers[0].identity, before.tiers[0].identity);
    // The next operator sees the user's lease, and may end it.
    let seen = |page: &Page<Lease>| page.items.iter().any(|lease| lease.contract.as_deref() == Some("L-10"));
    let _: Page<Lease> = next.until("/v1/leases", seen).await;
}

/// Without consent the next operator has nothing of what was below, and says so before.
#[tokio::test(flavor = "multi_thread")]
async fn a_tier_is_handed_on_and_what_is_below_is_erased() {
    let World { consoles, landlord, node } = world().await;
    let operator = Party::new("operator", &consoles).await;
    let user = Party::new("user", &consoles).await;
    let lent = Grant { grant: Rights::ALL, name: Some("operator".to_owned()), ..wanted(&operator).await };
    let granted: Granted = landlord.post("/v1/leases", &lent).await;
    take(&operator, &granted, vec![]).await;
    let _: Shown = operator.until("/v1/nodes/n1", speaks).await;
    let quota = small(lent.quota);
    let below =
        Grant { contract: "L-10".to_owned(), name: Some("user".to_owned()), quota, ..wanted(&user).await };
    let granted: Granted = operator.post("/v1/leases", &below).await;
    take(&user, &granted, vec![]).await;
    let before: Shown = user.until("/v1/nodes/n1", speaks).await;
    drop(operator);
    let next = Party::new("operator-2", &consoles).await;
    let mut wanted = Reassign {
        what: "L-9".to_owned(),
        nodes: Vec::new(),
        contract: "L-11".to_owned(),
        to: next.identity().await,
        keep: Vec::new(),
        if_match: None,
    };
    let plan: LeasePlan = landlord.post("/v1/leases/reassign/plan", &wanted).await;
    let lost = |what: &&String| what.starts_with("user: ") && what.contains("unreadable for ever");
    assert_eq!(plan.leases[0].consequences.iter().filter(lost).count(), 1, "{plan:?}");
    wanted.if_match = Some(plan.plan);
    let granted: Granted = landlord.post("/v1/leases/reassign", &wanted).await;
    take(&next, &granted, vec![]).await;
    let none = next.refused("/v1/leases/take/erase-below", &json!({ "contract": "L-9" })).await;
    assert_eq!(none.exit, Exit::NotFound as u8);
    let _: console_api::ErasesBelow =
        next.post("/v1/leases/take/erase-below", &json!({ "contract": "L-11" })).await;
    let _: Shown = next.until("/v1/nodes/n1", speaks).await;
    // The user's tier is in its place; its identity is another one, which the user has to see first.
    assert_ne!(node.identity("user"), before.tiers[0].identity);
    let cut = |node: &Shown| !node.tiers[0].connected;
    let _: Shown = user.until("/v1/nodes/n1", cut).await;
}

/// A renewal by force is planned first, and who is renewed sees it.
#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_by_force_is_planned_and_seen() {
    let World { consoles, landlord, node } = world().await;
    let tenant = Party::new("tenant-a", &consoles).await;
    let granted = grant(&landlord, &tenant).await;
    take(&tenant, &granted, vec![node.fingerprint().to_string()]).await;
    let _: Shown = tenant.until("/v1/nodes/n1", speaks).await;
    let first = node.identity("tenant-a");
    let plan: LeasePlan = landlord.post("/v1/leases/renew/plan", &json!({ "what": "L-9" })).await;
    assert!(plan.leases[0].consequences.iter().any(|what| what.contains("identity on the node is replaced")));
    let sever: LeasePlan = landlord.post("/v1/leases/sever/plan", &json!({ "what": "L-9" })).await;
    let other = landlord.refused("/v1/leases/renew", &json!({ "what": "L-9", "if_match": sever.plan })).await;
    assert_eq!(other.exit, Exit::Stale as u8);
    assert_eq!(node.identity("tenant-a"), first);
    let renewed: Severed =
        landlord.post("/v1/leases/renew", &json!({ "what": "L-9", "if_match": plan.plan })).await;
    assert_eq!(renewed.leases[0].problem, None);
    assert_ne!(node.identity("tenant-a"), first);
    let cut = |node: &Shown| !node.tiers[0].connected;
    let _: Shown = tenant.until("/v1/nodes/n1", cut).await;
}
