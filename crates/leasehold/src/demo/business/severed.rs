//! The owner severs an operator's lease on one computer, with that operator offline, and has the computer's word for it.

use console_api::{DocumentKind, Documents};
use lab::Failed;
use serde_json::Value;

use super::world::{Business, HARDWARE, OWNER, SOFTWARE};
use crate::demo::show::Evidence;
use crate::demo::world::{PATIENCE, SILENCE};

pub(super) fn software(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    sever(business, evidence, (SOFTWARE, "L-9"), 0, &[OWNER, HARDWARE])?;
    business.held(HARDWARE, "n1")?;
    evidence.check("the hardware operator holds n1 as before", true);
    Ok(())
}

pub(super) fn hardware(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    sever(business, evidence, (HARDWARE, "L-7"), 1, &[OWNER])
}

/// Severs the operator's contract on the node at `place`; `left` are the tiers that stay there.
fn sever(
    business: &mut Business<'_>,
    evidence: &mut Evidence,
    (operator, contract): (&str, &str),
    place: usize,
    left: &[&str],
) -> Result<(), Failed> {
    let node = business.node(place)?.name().to_owned();
    let to = business.at(place)?;
    let open = business.facility()?.internet.connect(to, PATIENCE)?;
    let open = open.map_err(|why| Failed::new("connect", why))?;
    business.goes_offline(operator)?;
    evidence.tell(format!("{operator}'s console is dead"));
    let deed = ["lease", "sever", contract, "--node", &node];
    let plan = business.plans(OWNER, &deed)?;
    let consequences: Vec<&str> = plan
        .pointer("/leases/0/consequences")
        .and_then(Value::as_array)
        .map(|all| all.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    evidence.check(
        format!("the plan says what it means: {}", consequences.join("; ")),
        consequences.contains(&format!("{operator}: ends").as_str()) && consequences.contains(&"user: ends"),
    );
    let name = plan.get("plan").and_then(Value::as_str).unwrap_or_default();
    let careless = business.says(OWNER, &[&deed[..], &["--if-match", name]].concat())?;
    evidence
        .check("nothing is destroyed before the risk is accepted by its name (exit 3)", careless.exit == 3);
    let stale =
        business.says(OWNER, &[&deed[..], &["--if-match", "0", "--accept-risk=destroy-data"]].concat())?;
    evidence.check("nor by another plan (exit 6)", stale.exit == 6);
    business.does_as_planned(OWNER, &deed, &plan)?;
    let tiers = business.tiers(place)?;
    evidence.check(format!("left on {node}: {}", tiers.join(", ")), tiers == left);
    let internet = &business.facility()?.internet;
    evidence
        .check("the open connection carries nothing any more", internet.exchange(open, SILENCE)?.is_err());
    evidence.check("the user's engine there was killed", business.engine(place)?.heard().is_err());
    evidence.check("n3 serves on", business.serves(business.at(2)?, PATIENCE)?);
    receipt(business, evidence, contract)?;
    evidence.fact("node", node);
    evidence.fact("left", tiers);
    Ok(())
}

/// The node has signed that it is over.
fn receipt(business: &Business<'_>, evidence: &mut Evidence, contract: &str) -> Result<(), Failed> {
    let is_receipt = |documents: &Documents| {
        documents.documents.iter().any(|document| document.kind == DocumentKind::Receipt)
    };
    let documents: Documents =
        business.desk(OWNER)?.until(&format!("/v1/documents/{contract}"), is_receipt)?;
    let receipts = documents.documents.iter().filter(|document| document.kind == DocumentKind::Receipt);
    let lines: Vec<&str> = receipts.map(|document| document.envelope.as_str()).collect();
    let file = business.file(OWNER, "receipts.json", &lines.join("\n"))?;
    let verified = business.says(OWNER, &["receipt", "verify", &file])?;
    evidence.check("`leasehold receipt verify` says that the computer signed it", verified.exit == 0);
    evidence.fact("receipt", verified.answer);
    Ok(())
}
