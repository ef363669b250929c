//! The root: enrolled once, from a file that someone with the machine in hand put there.

use id::Epoch;

use super::{keys, passed};
use crate::change::Change;
use crate::console::are_consoles;
use crate::input::Enrolment;
use crate::procedure::{Fate, Part, Procedure, ProcedureId, Purpose};
use crate::refusal::Refusal;
use crate::right::Rights;
use crate::tenure::Tenure;

pub(super) fn decide(tenure: &Tenure, enrolment: &Enrolment) -> Result<Vec<Change>, Refusal> {
    if tenure.root.is_some() {
        return Err(Refusal::AlreadyEnrolled {});
    }
    keys::are_a_set(&enrolment.controllers, Rights::ALL, Rights::ALL)?;
    are_consoles(&enrolment.consoles)?;
    let tier = enrolment.fresh.tier;
    let parts = vec![Part { tier, epoch: first_epoch()?, fate: Fate::New }];
    let procedure = Procedure {
        id: ProcedureId(enrolment.document),
        purpose: Purpose::Enrolment,
        by: tier,
        tier,
        next: Procedure::first_step(&parts),
        parts,
        nonce: None,
    };
    let mut changes = passed(tenure, enrolment.at);
    changes.push(Change::Enrolled {
        node: enrolment.node,
        tier,
        lease: enrolment.fresh.lease,
        name: enrolment.name.clone(),
        keys: enrolment.controllers.clone(),
        consoles: enrolment.consoles.clone(),
        directory: enrolment.directory,
    });
    changes.push(Change::Begun { procedure });
    Ok(changes)
}

/// The epoch of a new tier.
pub(super) fn first_epoch() -> Result<Epoch, Refusal> {
    Epoch::default().next().ok_or(Refusal::Exhausted {})
}
