//! Another operator takes a computer over without installing anything anew: once with the user's consent, once without.

use console_api::{Enrolment, Node as Shown, OpenWindow};
use lab::Failed;
use serde_json::Value;

use super::world::{Business, HARDWARE, HARDWARE_2, OWNER, SOFTWARE, SOFTWARE_2, USER};
use crate::demo::show::Evidence;
use crate::demo::world::{PATIENCE, SILENCE};

/// The computer that changes hands.
const NODE: &str = "n3";
const PLACE: usize = 2;

/// The software operator is offline since the step before.
pub(super) fn software(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = identity(&business.held(USER, NODE)?)?;
    let to = business.at(PLACE)?;
    let open = business.facility()?.internet.connect(to, PATIENCE)?;
    let open = open.map_err(|why| Failed::new("connect", why))?;
    let next = business.identity(SOFTWARE_2, HARDWARE)?;
    let deed =
        ["lease", "reassign", "L-9", "--node", NODE, "--contract", "L-11", "--to", &next, "--keep", USER];
    let early = business.says(HARDWARE, &[&deed[..], &["--plan"]].concat())?;
    let code = early.answer.pointer("/leases/0/problem/code").and_then(Value::as_str).unwrap_or_default();
    evidence.check("without the user's consent its data cannot be kept: no-consent", code == "no-consent");
    let successor = business.identity(SOFTWARE_2, USER)?;
    business.does(USER, &["lease", "consent", SOFTWARE, "--node", NODE, "--to", &successor])?;
    evidence.check("the user consents to exactly this operator's keys", true);
    let plan = business.plans(HARDWARE, &deed)?;
    let granted = business.does_as_planned(HARDWARE, &deed, &plan)?;
    evidence.check("the hardware operator hands L-9 on, with the software operator offline", true);
    let offer = granted.get("offer").cloned().unwrap_or_default();
    business.takes(SOFTWARE_2, &offer, &[])?;
    // Its own new keys would erase what is below: its console waits for the user's word to that, too.
    business.does(USER, &["lease", "consent", SOFTWARE, "--node", NODE])?;
    business.held(SOFTWARE_2, NODE)?;
    evidence.check("software-2 has made the keys of its tier anew: nobody before it knows them", true);
    let after = identity(&business.held(USER, NODE)?)?;
    evidence.check("the user's keys on n3 are the same: its data is kept", after == before);
    let internet = &business.facility()?.internet;
    evidence.check(
        "the open connection lives on: nothing was restarted",
        internet.exchange(open, PATIENCE)?.is_ok(),
    );
    evidence.check("and the user's engine answers", business.serves(to, PATIENCE)?);
    evidence.fact("identity", after);
    Ok(())
}

/// The hardware operator is offline since the step before.
pub(super) fn hardware(business: &mut Business<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
    let before = identity(&business.held(USER, NODE)?)?;
    let to = business.at(PLACE)?;
    let next = business.identity(HARDWARE_2, OWNER)?;
    let deed = ["lease", "reassign", "L-7", "--node", NODE, "--contract", "L-12", "--to", &next];
    let plan = business.plans(OWNER, &deed)?;
    let lost = plan.to_string().matches("unreadable for ever").count();
    evidence.check(format!("the plan says whose data is lost: {lost} tiers'"), lost == 3);
    let _: Enrolment = business.desk(USER)?.post("/v1/enrolment", &OpenWindow { minutes: 5 })?;
    let granted = business.does_as_planned(OWNER, &deed, &plan)?;
    let offer = granted.get("offer").cloned().unwrap_or_default();
    business.takes(HARDWARE_2, &offer, &["--erase-below"])?;
    business.held(HARDWARE_2, NODE)?;
    evidence.check("hardware-2 has n3, with the operator before it offline", true);
    let tiers = business.tiers(PLACE)?;
    evidence.check(format!("every tier is in its place: {}", tiers.join(", ")), tiers.len() == 4);
    evidence.check("what ran there belonged to the old epoch, and was ended", !business.serves(to, SILENCE)?);
    confirmed(business, &before, evidence)?;
    business.start_engine(PLACE)?;
    evidence.check(
        "the user starts its engine anew, and it answers",
        business.serves(business.at(PLACE)?, PATIENCE)?,
    );
    evidence.fact("tiers", tiers);
    Ok(())
}

/// The user's tier has another identity: its console takes it for a stranger until a person has compared.
fn confirmed(business: &Business<'_>, before: &str, evidence: &mut Evidence) -> Result<(), Failed> {
    let screen = business.screen(PLACE)?;
    let came = |window: &Enrolment| {
        window
            .strangers
            .iter()
            .any(|one| one.node.to_string() == screen && one.identity.to_string() != before)
    };
    let _: Enrolment = business.desk(USER)?.until("/v1/enrolment", came)?;
    business.does(USER, &["node", "confirm", &screen, "--name", NODE])?;
    let after = identity(&business.held(USER, NODE)?)?;
    evidence.check(
        "the user sees that its keys were replaced, compares the screen, and makes its own",
        after != before,
    );
    evidence.fact("identity", after);
    Ok(())
}

fn identity(shown: &Shown) -> Result<String, Failed> {
    let tier = shown.tiers.first().ok_or_else(|| Failed::new("go on", "the console holds no tier there"))?;
    Ok(tier.identity.to_string())
}
