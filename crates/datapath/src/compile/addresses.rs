//! The address ranges of all tiers together: one search finds every tier's row. `bpf/tiers.h` describes
//! the words.

use std::collections::HashMap;

use super::table::{Range, TooLarge};
use crate::image::WORDS_MAX;

/// IPv4 addresses stand as ::ffff:a.b.c.d.
const V4_FIRST: u128 = 0xffff_0000_0000;
const V4_LAST: u128 = 0xffff_ffff_ffff;

/// Adds rows and ranges to the table `words`; answers where the IPv4 and the IPv6 ranges are. A tier's ranges
/// are ascending and take every address; a tier that asks for no address has none.
pub(super) fn add(tiers: &[Vec<Range>], words: &mut Vec<u64>) -> Result<[u64; 2], TooLarge> {
    let classes = Classes::of(tiers)?;
    let rows_at = words.len();
    let index = |class: usize| (rows_at + class * tiers.len()) as u64;
    let (v4, v6) = classes.families();
    let v4_at = rows_at + classes.rows.len() * tiers.len();
    let v6_at = v4_at + v4.len();
    let needed = v6_at + v6.len() * 3;
    if needed > WORDS_MAX {
        return Err(TooLarge(needed));
    }
    words.extend(classes.rows.iter().flatten().map(|row| u64::from(*row)));
    words.extend(v4.iter().map(|(upto, class)| low_half(*upto) << 32 | index(*class)));
    words.extend(v6.iter().flat_map(|(upto, _)| [low_word(upto >> 64), low_word(*upto)]));
    words.extend(v6.iter().map(|(_, class)| index(*class)));
    Ok([place(v4.len(), v4_at), place(v6.len(), v6_at)])
}

/// Ascending; each ends at the address, begins after the one before, and has the class.
type Ranges = Vec<(u128, usize)>;

/// Every address's class: addresses of one class have the same row in every tier.
struct Classes {
    /// For each class its row in each tier.
    rows: Vec<Vec<u32>>,
    ranges: Ranges,
}

impl Classes {
    fn of(tiers: &[Vec<Range>]) -> Result<Self, TooLarge> {
        let mut classes = Self { rows: Vec::new(), ranges: Vec::new() };
        let mut known: HashMap<Vec<u32>, usize> = HashMap::new();
        let mut rest: Vec<&[Range]> = tiers.iter().map(Vec::as_slice).collect();
        loop {
            let next = rest.iter().filter_map(|ranges| ranges.first()).map(|range| range.upto).min();
            let upto = next.unwrap_or(u128::MAX);
            let rows: Vec<u32> =
                rest.iter().map(|ranges| ranges.first().map_or(0, |range| range.row)).collect();
            let class = *known.entry(rows).or_insert_with_key(|rows| {
                classes.rows.push(rows.clone());
                classes.rows.len() - 1
            });
            push(&mut classes.ranges, upto, class);
            let needed = classes.rows.len() * tiers.len() + classes.ranges.len();
            if needed > WORDS_MAX {
                return Err(TooLarge(needed));
            }
            for ranges in &mut rest {
                if let [first, after @ ..] = *ranges
                    && first.upto == upto
                {
                    *ranges = after;
                }
            }
            if upto == u128::MAX {
                return Ok(classes);
            }
        }
    }

    /// The ranges of IPv4 addresses, and those of all others. No IPv6 packet is asked about with a mapped
    /// address, so there those belong to whatever comes after.
    fn families(&self) -> (Ranges, Ranges) {
        let (mut v4, mut v6) = (Ranges::new(), Ranges::new());
        let mut first = 0;
        for (upto, class) in &self.ranges {
            if first <= V4_LAST && *upto >= V4_FIRST {
                push(&mut v4, (*upto).min(V4_LAST), *class);
            }
            if first < V4_FIRST {
                push(&mut v6, if *upto > V4_LAST { *upto } else { (*upto).min(V4_FIRST - 1) }, *class);
            } else if *upto > V4_LAST {
                push(&mut v6, *upto, *class);
            }
            first = upto.wrapping_add(1);
        }
        (v4, v6)
    }
}

/// A range of the same class as the one before makes that longer.
fn push(ranges: &mut Ranges, upto: u128, class: usize) {
    match ranges.last_mut() {
        Some(last) if last.1 == class => last.0 = upto,
        _ => ranges.push((upto, class)),
    }
}

/// `count` in bits 0 to 32, the halvings that it takes in bits 33 to 37, `offset` in bits 38 to 63.
fn place(count: usize, offset: usize) -> u64 {
    let steps = count.next_power_of_two().ilog2();
    count as u64 | u64::from(steps) << 33 | (offset as u64) << 38
}

fn low_half(number: u128) -> u64 {
    low_word(number & 0xffff_ffff)
}

fn low_word(number: u128) -> u64 {
    u64::try_from(number & u128::from(u64::MAX)).unwrap_or_default()
}
