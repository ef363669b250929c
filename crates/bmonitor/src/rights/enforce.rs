//! Makes a row of the table true of this process, for good.

use std::io;

use os::{capability, descriptor, privilege, seccomp, signal};
use thiserror::Error;

use os::seccomp::Refusing;

use super::{Others, Rights, Role};

/// What a role needs to know to begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begin {
    pub(crate) role: Role,
    /// The process that must be this one's parent; none for the supervisor.
    pub(crate) parent: Option<u32>,
}

/// A row that could not be enforced: the process must end.
#[derive(Debug, Error)]
pub(crate) enum NotEnforced {
    /// The kernel refused a step.
    #[error("cannot {act}")]
    Step { act: &'static str, source: io::Error },
    /// The list of system calls was refused.
    #[error("cannot narrow the system calls")]
    Calls(#[source] seccomp::Error),
}

/// Gives up everything that the role's row does not have. To be called first, with one thread alone.
pub(crate) fn enforce(begin: Begin) -> Result<(), NotEnforced> {
    let rights = begin.role.rights();
    give_up_surroundings(rights)?;
    give_up_privileges(rights)?;
    if rights.dies_with_supervisor {
        // After the uid: a change of it clears the wish.
        step("die with the supervisor", privilege::die_with_parent(begin.parent.unwrap_or(0)))?;
    }
    let allowed: Vec<_> = rights.calls.iter().map(|call| call.allowed).collect();
    match rights.others {
        Others::Kill => seccomp::enforce(&allowed),
        Others::Refuse => {
            let list = Refusing { allowed: &allowed, without_bits: &[], without_second: &[], unknown: &[] };
            seccomp::refuse_others(&list)
        }
    }
    .map_err(NotEnforced::Calls)
}

fn give_up_surroundings(rights: &Rights) -> Result<(), NotEnforced> {
    step("keep inherited descriptors from children", descriptor::keep_from_children())?;
    if rights.role != Role::Supervisor {
        step("unblock signals", signal::unblock())?;
    }
    privilege::hide_files();
    for (limit, at_most) in rights.limits {
        step("lower a limit", privilege::limit(*limit, *at_most))?;
    }
    if !rights.network {
        step("leave the network", privilege::leave_network())?;
    }
    Ok(())
}

fn give_up_privileges(rights: &Rights) -> Result<(), NotEnforced> {
    let kept = rights.capabilities();
    step("narrow the bounding set", capability::bound(&kept))?;
    step("change the uid", privilege::become_user(rights.uid, rights.uid))?;
    step("drop capabilities", capability::keep(&kept))?;
    step("forbid gains by exec", privilege::gain_nothing_by_exec())?;
    step("hide memory", privilege::hide_memory())
}

fn step(act: &'static str, done: io::Result<()>) -> Result<(), NotEnforced> {
    done.map_err(|source| NotEnforced::Step { act, source })
}
