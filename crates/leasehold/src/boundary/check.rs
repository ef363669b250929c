//! `leasehold boundary check`.

use boundary::{Comparison, Excess, Keys, PacketJson, PacketSet, ResolvedSet, Unproved, compare};
use id::Digest;
use serde::Serialize;

use super::{Pair, budget, files, json, too_complex};
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};

#[derive(Serialize)]
struct Answer<'a> {
    contained: bool,
    witness: Option<Witness<'a>>,
    digest: Digests,
}

#[derive(Serialize)]
struct Witness<'a> {
    packet: PacketJson,
    lower_rule: &'a str,
    upper_tier: usize,
    upper_rule: Option<&'a str>,
    r#box: Keys,
}

#[derive(Serialize)]
struct Digests {
    upper: Digest,
    lower: Digest,
}

pub(super) fn run(pair: &Pair) -> Result<Exit, Failure> {
    let (uppers, lower, known) = read(pair)?;
    let comparison = compare(&uppers, &lower, &known, &mut budget()).map_err(|unproved| match unproved {
        Unproved::TooComplex => too_complex("whether one boundary contains the other"),
        Unproved::Contradiction(_) => Failure::new(Exit::Failed, unproved.to_string()),
    })?;
    match pair.shared.output {
        Format::Json => line(&json(&answer(&comparison))?),
        Format::Text => line(&told(pair, &comparison)),
    }
    if comparison.excess.is_none() {
        return Ok(Exit::Ok);
    }
    let error = format!("{} admits packets that an upper boundary refuses", pair.lower.display());
    Err(Failure::new(Exit::Refused, error)
        .hint("`leasehold boundary narrow` prints the part of it that is within"))
}

/// The uppers, the lower, and the addresses that a witness should rather have.
pub(super) fn read(pair: &Pair) -> Result<(Vec<ResolvedSet>, ResolvedSet, Vec<u128>), Failure> {
    let directory = files::directory(pair.shared.directory.as_deref())?;
    let uppers =
        pair.upper.iter().map(|path| files::set(path, directory.as_ref())).collect::<Result<Vec<_>, _>>()?;
    let lower = files::set(&pair.lower, directory.as_ref())?;
    let known = directory.map(|directory| directory.addresses().collect()).unwrap_or_default();
    Ok((uppers, lower, known))
}

fn answer(comparison: &Comparison) -> Answer<'_> {
    let witness = |excess: &'_ Excess| PacketJson::from(&excess.packet);
    let digest = |set: &PacketSet| Digest::from_bytes(set.digest());
    Answer {
        contained: comparison.excess.is_none(),
        witness: comparison.excess.as_ref().map(|excess| Witness {
            packet: witness(excess),
            lower_rule: &excess.lower_rule,
            upper_tier: excess.upper_tier,
            upper_rule: excess.upper_rule.as_deref(),
            r#box: Keys::of_box(&excess.region),
        }),
        digest: Digests { upper: digest(&comparison.upper), lower: digest(&comparison.lower) },
    }
}

fn told(pair: &Pair, comparison: &Comparison) -> String {
    let Some(excess) = &comparison.excess else {
        return format!("contained: {} admits nothing that an upper boundary refuses", pair.lower.display());
    };
    let upper = pair.upper.get(excess.upper_tier).map(|path| path.display().to_string()).unwrap_or_default();
    let refusal = match &excess.upper_rule {
        Some(rule) => format!("refused by {rule}"),
        None => "admitted by no rule".to_owned(),
    };
    let (packet, lower) = (boundary::in_words(&excess.packet), pair.lower.display());
    [
        "not contained; for example this packet:".to_owned(),
        format!("  {packet}"),
        format!("    {lower}: admitted by {}", excess.lower_rule),
        format!("    {upper} (tier {}): {refusal}", excess.upper_tier),
        "  and every packet with:".to_owned(),
        format!("    {}", Keys::of_box(&excess.region)),
    ]
    .join("\n")
}
