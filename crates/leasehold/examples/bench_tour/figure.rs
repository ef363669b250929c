//! A figure as it is printed: a place in a sorted row, and the bound that the row must keep.

use serde_json::json;

/// In their order, the smallest first.
pub(super) fn sorted(each: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut row: Vec<f64> = each.collect();
    row.sort_by(f64::total_cmp);
    row
}

/// The figure of a row that is not empty: what stands at `share` of it.
pub(super) fn figure(name: &str, unit: &str, row: &[f64], share: f64, bound: Option<f64>) -> String {
    let rounded = |value: f64| (value * 1e3).round() / 1e3;
    let at = |share: f64| row.get(rank(row.len(), share)).copied().map_or(0.0, rounded);
    let line = json!({
        "bench": "tour", "figure": name, "value": at(share), "unit": unit, "runs": row.len(),
        "median": at(0.5), "spread": [at(0.0), at(1.0)], "bound": bound,
    });
    line.to_string()
}

/// The place of a share in a sorted row: of 30 the 99th percentile is the last.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
fn rank(length: usize, share: f64) -> usize {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let place = (f64::from(length) * share).ceil() as usize;
    place.saturating_sub(1)
}
