//! The directory: what names in the sets of all tiers mean. The root puts it in force, signed by the key that
//! its enrolment names; its version never goes back. Sets in force are resolved anew by it, and none is
//! refused for what it means then: the intersection along each path holds.

use super::Signer;
use crate::change::Change;
use crate::order::Directory;
use crate::refusal::Refusal;
use crate::rule::{Rule, holds};
use crate::tenure::Tenure;

pub(super) fn set(tenure: &Tenure, signer: &Signer<'_>, args: &Directory) -> Result<Vec<Change>, Refusal> {
    if tenure.root != Some(signer.id) && holds(Rule::DirectoryOfRoot) {
        return Err(Refusal::NotRoot {});
    }
    let unknown = Refusal::UnknownObject { object: args.object };
    let (key, serial) = tenure.aside.directories.get(&args.object).copied().ok_or(unknown)?;
    if tenure.directory_signer() != Some(key) && holds(Rule::DirectorySigned) {
        return Err(Refusal::WrongDirectory {});
    }
    match tenure.directory {
        Some(present) if serial <= present.serial && holds(Rule::DirectoryForward) => {
            Err(Refusal::PastDirectory { serial, present: present.serial })
        }
        Some(_) | None => Ok(vec![Change::DirectorySet { object: args.object, serial }]),
    }
}
