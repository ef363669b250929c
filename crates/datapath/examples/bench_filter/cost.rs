//! Processor time, read from the kernel.

use std::fs;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::Outcome;

/// What the calling thread has used so far.
pub(crate) fn own() -> Outcome<Duration> {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    Ok(Duration::new(u64::try_from(own.tv_sec)?, u32::try_from(own.tv_nsec)?))
}

/// `ksoftirqd` of each processor: what packets cost that the sender did not pay for itself.
pub(crate) fn kernel_threads() -> Outcome<Duration> {
    let mut all = Duration::ZERO;
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(name) = fs::read_to_string(path.join("comm")) else { continue };
        if name.starts_with("ksoftirqd/") {
            let text = fs::read_to_string(path.join("schedstat"))?;
            let first = text.split_whitespace().next().ok_or("an empty schedstat")?;
            all += Duration::from_nanos(first.parse()?);
        }
    }
    Ok(all)
}
