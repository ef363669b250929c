//! `cargo xtask soak`: what CI does for seconds, for hours: every fuzz target in turn, longer each time
//! round, the model of authority searched deeper, ten times as many frames through the filter, and more deaths of who
//! leases addresses. Ends when the time is over or something is found.

use std::time::{Duration, Instant};

use crate::ci::cargo;
use crate::command::run;
use crate::failure::Failure;
use crate::fuzz::fuzz;
use crate::workspace::Workspace;

/// How many steps deeper than in CI the model is searched; each multiplies the number of states.
const MODEL_DEEPER: u32 = 1;

/// Frames through the filter program, each with the oracle's verdict.
const FRAMES: &str = "10000000";

/// Lives of a lease, in each of which who leases is killed twice.
const LEASE_LIVES: &str = "200";

/// Seconds for each fuzz target in the first round; doubled in every further one.
const FIRST_ROUND_S: u64 = 60;

/// Soaks for at least so many hours, to the end of the round that is under way then.
pub(crate) fn soak(workspace: &Workspace, hours: f64) -> Result<(), Failure> {
    let end = Instant::now() + Duration::from_secs_f64(hours * 3600.0);
    crate::say(&format!("==> the model of authority, {MODEL_DEEPER} deeper"));
    let arguments = ["test", "--release", "--locked", "--package", "tenure", "model_", "--", "--nocapture"];
    run(cargo(workspace).args(arguments).env("TENURE_MODEL_DEEPER", MODEL_DEEPER.to_string()))?;
    crate::say(&format!("==> {FRAMES} frames through the filter"));
    let arguments = ["test", "--release", "--locked", "--package", "datapath", "--test", "kernel"];
    let which = ["--", "--nocapture", "a_million_frames"];
    run(cargo(workspace).args(arguments).args(which).env("DATAPATH_FRAMES", FRAMES))?;
    crate::say(&format!("==> who leases dies in {LEASE_LIVES} leases"));
    let arguments = ["test", "--locked", "--package", "bmonitor", "--test", "slice"];
    let which = ["--", "a_realm_is_never_open_without_its_lease"];
    run(cargo(workspace).args(arguments).args(which).env("LEASE_LIVES", LEASE_LIVES))?;
    let mut seconds = FIRST_ROUND_S;
    while Instant::now() < end {
        crate::say(&format!("==> every fuzz target, {seconds} s each"));
        fuzz(workspace, &[], seconds)?;
        seconds *= 2;
    }
    Ok(())
}
