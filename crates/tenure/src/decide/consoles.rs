//! Consoles: a tier names its own. Their first ones come with the lease or the enrolment.

use super::Signer;
use crate::change::Change;
use crate::console::{are_consoles, are_consoles_below_the_root};
use crate::order::Consoles;
use crate::refusal::Refusal;
use crate::rule::{Rule, holds};

pub(super) fn set(signer: &Signer<'_>, args: &Consoles) -> Result<Vec<Change>, Refusal> {
    if signer.tier.parent.is_some() {
        are_consoles_below_the_root(&args.consoles)?;
    } else {
        are_consoles(&args.consoles)?;
    }
    if args.consoles.is_empty() {
        // Nobody could reach the tier any more to take that back.
        return Err(Refusal::BadConsoles {});
    }
    let tier = if holds(Rule::OwnConsoles) { signer.id } else { signer.tier.parent.unwrap_or(signer.id) };
    Ok(vec![Change::ConsolesSet { tier, consoles: args.consoles.clone() }])
}
