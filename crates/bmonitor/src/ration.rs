//! How many refusals of one key are put on record: whoever holds a key must not be able to fill the disk
//! with what the node refuses. What is not recorded is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use id::KeyId;

/// Refusals of one key that are recorded in a row.
const BURST: u32 = 16;
/// One more after each of these.
const EVERY: Duration = Duration::from_secs(10);
/// Keys that are remembered; when there are more, the table starts afresh.
const KEYS_MAX: usize = 1024;

/// What is left to each key.
#[derive(Debug, Default)]
pub(crate) struct Ration {
    keys: BTreeMap<KeyId, Left>,
}

#[derive(Debug)]
struct Left {
    records: u32,
    since: Duration,
    unrecorded: u64,
}

impl Ration {
    /// Whether this refusal is recorded; then with how many that were not. `boot` is the time since the
    /// machine's start.
    pub(crate) fn take(&mut self, key: KeyId, boot: Duration) -> Option<u64> {
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&key) {
            self.keys.clear();
        }
        let left = self.keys.entry(key).or_insert(Left { records: BURST, since: boot, unrecorded: 0 });
        let earned = boot.saturating_sub(left.since).as_nanos() / EVERY.as_nanos();
        let earned = u32::try_from(earned).unwrap_or(BURST).min(BURST);
        if earned > 0 {
            left.records = BURST.min(left.records + earned);
            left.since = boot;
        }
        match left.records.checked_sub(1) {
            Some(records) => {
                left.records = records;
                Some(std::mem::take(&mut left.unrecorded))
            }
            None => {
                left.unrecorded += 1;
                None
            }
        }
    }
}

impl Ration {
    /// A refusal that [`Self::take`] let be recorded, with `unrecorded` before it, could not be.
    pub(crate) fn give_back(&mut self, key: KeyId, unrecorded: u64) {
        if let Some(left) = self.keys.get_mut(&key) {
            left.unrecorded += unrecorded + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_told_with_the_next_record() {
        let mut ration = Ration::default();
        let key = KeyId::of_public_key(&[1; 32]);
        let other = KeyId::of_public_key(&[2; 32]);
        let recorded = (0..100).filter(|_| ration.take(key, Duration::ZERO).is_some()).count();
        assert_eq!(recorded, BURST as usize);
        assert_eq!(ration.take(other, Duration::ZERO), Some(0));
        assert_eq!(ration.take(key, EVERY), Some(84));
        assert_eq!(ration.take(key, EVERY), None);
        assert_eq!(ration.take(key, EVERY * 3), Some(1));
    }
    #[test]
    fn what_could_not_be_recorded_is_counted() {
        let mut ration = Ration::default();
        let key = KeyId::of_public_key(&[1; 32]);
        assert_eq!(ration.take(key, Duration::ZERO), Some(0));
        ration.give_back(key, 0);
        assert_eq!(ration.take(key, Duration::ZERO), Some(1));
        ration.give_back(key, 1);
        assert_eq!(ration.take(key, Duration::ZERO), Some(2));
    }
}
