//! Gives up everything that the supervisor's table does not leave to a courier. Before anything is read, and
//! with one thread alone.

use std::io;

use node_protocol::courier::{AllowedCall, Confinement};
use os::privilege::Limit;
use os::seccomp::Allowed;
use os::{capability, descriptor, privilege, seccomp, signal};
use thiserror::Error;

/// A right that could not be given up: the process must end.
#[derive(Debug, Error)]
pub(crate) enum NotConfined {
    /// The command line is not what a supervisor writes.
    #[error("its confinement is not understood")]
    Confinement(#[source] serde_json::Error),
    /// The kernel refused a step.
    #[error("cannot {act}")]
    Step {
        /// The step.
        act: &'static str,
        /// Its reason.
        source: io::Error,
    },
    /// Cryptography does not work here.
    #[error("cannot prepare cryptography")]
    Crypto(#[source] channel::NotSetUp),
    /// The list of system calls was refused.
    #[error("cannot narrow the system calls")]
    Calls(#[source] seccomp::Error),
}

/// Makes the confinement true of this process, for good.
pub(crate) fn enforce(json: &str) -> Result<(), NotConfined> {
    let confinement: Confinement = serde_json::from_str(json).map_err(NotConfined::Confinement)?;
    step("keep inherited descriptors from children", descriptor::keep_from_children())?;
    step("unblock signals", signal::unblock())?;
    privilege::hide_files();
    let limits = confinement.limits;
    for (limit, at_most) in [
        (Limit::CoreBytes, limits.core_bytes),
        (Limit::Descriptors, limits.descriptors),
        (Limit::AddressSpaceBytes, limits.address_space_bytes),
    ] {
        step("lower a limit", privilege::limit(limit, at_most))?;
    }
    step("empty the bounding set", capability::bound(&[]))?;
    step("change the uid", privilege::become_user(confinement.uid, confinement.uid))?;
    step("drop capabilities", capability::keep(&[]))?;
    step("forbid gains by exec", privilege::gain_nothing_by_exec())?;
    step("hide memory", privilege::hide_memory())?;
    // After the uid: a change of it clears the wish.
    step("die with the supervisor", privilege::die_with_parent(confinement.parent))?;
    channel::tls::prepare().map_err(NotConfined::Crypto)?;
    let allowed: Vec<Allowed> = confinement.calls.into_iter().map(allowed).collect();
    seccomp::enforce(&allowed).map_err(NotConfined::Calls)
}

/// The list lives as long as the process.
fn allowed(call: AllowedCall) -> Allowed {
    Allowed { call: call.name.leak(), first: call.first.leak() }
}

fn step(act: &'static str, done: io::Result<()>) -> Result<(), NotConfined> {
    done.map_err(|source| NotConfined::Step { act, source })
}
