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
        for entry in self.flows.iter().take(self.most) {
            let (key, value) = entry.map_err(FilterError::map("read", "flows"))?;
            see(&layout::flow(&key, &value));
            if layout::is_idle(&key, &value, now) {
                idle.push(key);
            }
        }
        let mut swept = 0;
        for key in idle {
            swept += usize::from(self.remove_idle(&key, now).map_err(FilterError::map("sweep", "flows"))?);
        }
        Ok(swept)
    }

    /// Takes the entry out if it is idle still. A walk lasts: what was idle when it was read may be a live flow by now,
    /// begun with the same ports. A packet between these two calls is not noticed; its flow is then begun again.
    fn remove_idle(&mut self, key: &[u8; FLOW_KEY], now: Duration) -> Result<bool, MapError> {
        let removed = match self.flows.get(key, 0) {
            Ok(value) if !layout::is_idle(key, &value, now) => return Ok(false),
            Ok(_) => self.flows.remove(key),
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Ok(true),
            // The program, or an earlier meeting with the same entry, was faster.
            Err(MapError::KeyNotFound) => Ok(false),
            Err(MapError::SyscallError(error)) if is_not_found(&error.io_error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn is_not_found(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::NotFound
}
