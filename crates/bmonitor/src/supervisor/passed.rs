//! The realms' flow tables are walked every few seconds, beside the loop: idle flows leave them, and what was open is
//! added to each tier's record.

use std::collections::BTreeMap;
use std::time::Duration;

use datapath::FlowTable;
use id::{Epoch, TierId};
use node_protocol::call::Answer;

use super::Supervisor;
use super::explain::no_tier;
use crate::failure::chain;
use crate::passed::{Record, Walked, walk};
use crate::study::{Gone, Study};

/// From one walk to the next. A flow that ended stays in its table for ten seconds at least.
const PAUSE: Duration = Duration::from_secs(5);

/// A tier in an epoch: the next holder of the name, or of the tier, does not hear of it.
pub(super) type Whose = (TierId, Epoch);

/// A table to be walked.
#[derive(Debug)]
pub(super) struct Walk {
    whose: Whose,
    table: FlowTable,
    since: Duration,
}

/// A table that was walked.
#[derive(Debug)]
pub(super) struct Found {
    whose: Whose,
    at: Duration,
    walked: Result<Walked, String>,
}

/// The records, and when the tables are walked next.
#[derive(Debug)]
pub(super) struct Flows {
    walker: Study<Walk, Found>,
    next_at: Duration,
    records: BTreeMap<Whose, Record>,
}

impl Flows {
    pub(super) fn start() -> std::io::Result<Self> {
        let walker = Study::start("flows", Walk::go)?;
        Ok(Self { walker, next_at: Duration::ZERO, records: BTreeMap::new() })
    }

    /// What to wait for, beside [`Self::wake_in`].
    pub(super) fn descriptor(&self) -> std::os::fd::BorrowedFd<'_> {
        self.walker.descriptor()
    }

    /// When the tables are to be walked, where there are any.
    pub(super) fn wake_in(&self, any: bool) -> Option<Duration> {
        (any && self.walker.is_idle()).then(|| self.next_at.saturating_sub(os::clock::boot()))
    }
}

impl Walk {
    fn go(mut self) -> Found {
        let at = os::clock::boot();
        let walked = walk(&mut self.table, self.since, at).map_err(|error| chain(&error));
        Found { whose: self.whose, at, walked }
    }
}

impl Supervisor {
    /// Takes in what was found, and has the tables walked where that is due.
    pub(super) fn attend_flows(&mut self) -> Result<(), Gone> {
        let tenure = &self.node.tenure;
        let is_present = |whose: &Whose| tenure.tier(whose.0).is_some_and(|tier| tier.epoch == whose.1);
        self.flows.records.retain(|whose, _| is_present(whose));
        let mut failed = None;
        for (_, found) in self.flows.walker.turn()? {
            // It is gone where its tier or epoch ended meanwhile.
            let Some(record) = self.flows.records.get_mut(&found.whose) else { continue };
            match found.walked {
                Ok(walked) => record.take(walked, found.at),
                Err(why) => failed = Some(why),
            }
        }
        let now = os::clock::boot();
        if now >= self.flows.next_at && self.flows.walker.is_idle() {
            self.flows.next_at = now + PAUSE;
            failed = self.walk_all()?.or(failed);
        }
        if let Some(why) = failed {
            self.warn("flows", format!("the open flows of a realm cannot be read: {why}"));
        }
        Ok(())
    }

    /// Begins the records of realms that have none, in the turn in which they come up or enter a new epoch: what
    /// passes from then on is their own.
    pub(super) fn begin_records(&mut self) {
        let now = os::clock::boot();
        let present: Vec<Whose> = self.filters.keys().filter_map(|name| self.whose(name.as_str())).collect();
        for whose in present {
            self.flows.records.entry(whose).or_insert_with(|| Record::new(now));
        }
    }

    /// Whose realm has that name now.
    pub(super) fn whose(&self, realm: &str) -> Option<Whose> {
        let tier = self.node.tenure.tier_named(realm)?;
        Some((tier, self.node.tenure.tier(tier)?.epoch))
    }

    fn walk_all(&mut self) -> Result<Option<String>, Gone> {
        let mut failed = None;
        for (name, filter) in &self.filters {
            let Some(whose) = self.whose(name.as_str()) else { continue };
            let Some(since) = self.flows.records.get(&whose).map(Record::walked) else { continue };
            match filter.flow_table() {
                Ok(table) => {
                    self.flows.walker.ask(0, Walk { whose, table, since })?;
                }
                Err(error) => failed = Some(chain(&error)),
            }
        }
        Ok(failed)
    }

    /// What passed at the tier's realm in the last hour.
    pub(super) fn passed(&self, tier: TierId) -> Answer {
        let Some(epoch) = self.node.tenure.tier(tier).map(|tier| tier.epoch) else { return no_tier(tier) };
        let told = self.flows.records.get(&(tier, epoch)).map(|record| record.told(os::clock::boot()));
        Answer::Passed(Box::new(told.unwrap_or_default()))
    }
}
