//! The flow table, read from end to end. It may be done beside the filter itself: reading takes a call to the kernel
//! for each flow.

use std::time::Duration;

use aya::maps::{HashMap, MapData, MapError};

use crate::error::FilterError;
use crate::layout::{self, FLOW, FLOW_KEY};
use crate::report::Flow;

/// The flows of one realm in the kernel.
#[derive(Debug)]
pub struct FlowTable {
    flows: HashMap<MapData, [u8; FLOW_KEY], [u8; FLOW]>,
    /// What is read at most: who reads a table that changes may meet an entry twice, and must end.
    most: usize,
}

impl FlowTable {
    pub(super) fn new(flows: HashMap<MapData, [u8; FLOW_KEY], [u8; FLOW]>, flows_max: u32) -> Self {
        Self { flows, most: usize::try_from(flows_max).unwrap_or(usize::MAX).saturating_mul(2) }
    }

    /// The flows in the table, idle ones that were not swept yet included, in no order.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn flows(&self) -> Result<Vec<Flow>, FilterError> {
        let flows = self.flows.iter().take(self.most);
        flows
            .map(|entry| entry.map(|(key, value)| layout::flow(&key, &value)))
            .collect::<Result<_, _>>()
            .map_err(FilterError::map("read", "flows"))
    }

    /// Takes idle flows out of the table, to make room; answers how many. `now` is [`os::clock::boot`].
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn sweep(&mut self, now: Duration) -> Result<usize, FilterError> {
        self.walk(now, |_flow| ())
    }

    /// Shows each flow to `see`, and then takes the idle ones out; answers how many. No flow ends unseen that lasts,
    /// idle, until the next walk.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn walk(&mut self, now: Duration, mut see: impl FnMut(&Flow)) -> Result<usize, FilterError> {
        let mut idle = Vec::new();
        for (key, value) in self.flows.iter().take(self.most).filter_map(Result::ok) {
            see(&layout::flow(&key, &value));
            if layout::is_idle(&key, &value, now) {
                idle.push(key);
            }
        }
        let mut swept = 0;
        for key in idle {
            match self.flows.remove(&key) {
                Ok(()) => swept += 1,
                // The program was faster.
                Err(MapError::KeyNotFound) => (),
                Err(MapError::SyscallError(error)) if is_not_found(&error.io_error) => (),
                Err(error) => return Err(FilterError::map("sweep", "flows")(error)),
            }
        }
        Ok(swept)
    }
}

fn is_not_found(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
