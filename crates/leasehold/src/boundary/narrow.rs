//! `leasehold boundary narrow`.

use boundary::{FILE_BYTES_MAX, Written, intersection};

use super::{Pair, budget, check, json, too_complex};
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};

pub(super) fn run(pair: &Pair) -> Result<Exit, Failure> {
    let (mut sets, lower, _known) = check::read(pair)?;
    sets.push(lower);
    let mut budget = budget();
    let written = intersection(&sets, &mut budget)
        .and_then(|common| Written::of(&common, &mut budget))
        .map_err(|_too_complex| too_complex("the intersection"))?;
    let text = written.to_string();
    // What is printed can be read again.
    if text.len() > FILE_BYTES_MAX {
        return Err(too_complex("the intersection"));
    }
    match pair.shared.output {
        Format::Json => line(&json(&written)?),
        Format::Text => line(text.trim_end()),
    }
    Ok(Exit::Ok)
}
