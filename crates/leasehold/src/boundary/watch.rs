//! `leasehold boundary watch`: what a realm's boundaries drop, as it happens.

use std::time::{Duration, Instant};

use clap::Args;
use console_api::{BoundaryDenials, DenialsQuestion};
use id::TierId;
use node_protocol::call::{Denials, RefusedBy, Way};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;

/// How often the node is asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Whose drops.
#[derive(Args)]
pub(crate) struct Watching {
    /// The node
    node: String,
    /// At the realm of this tier, where the console holds several
    #[arg(long)]
    tier: Option<TierId>,
    /// End after so many seconds; Ctrl-C ends it as well
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<u64>,
    #[command(flatten)]
    reach: Reach,
}

/// Prints what came since the time before, a line for each set, rule and direction.
pub(super) fn run(watching: &Watching) -> Result<Exit, Failure> {
    let Watching { node, tier, seconds, reach } = watching;
    let asked = DenialsQuestion { node: node.clone(), tier: *tier };
    let ask = || -> Result<BoundaryDenials, Failure> {
        reach.ask(async |client| client.post("/v1/boundaries/denials", &asked).await)
    };
    let began = Instant::now();
    let mut before = ask()?.denials;
    while seconds.is_none_or(|seconds| began.elapsed() < Duration::from_secs(seconds)) {
        std::thread::sleep(PAUSE);
        let now = ask()?.denials;
        for each in since(&before, &now) {
            match reach.output {
                Format::Json => line(&json!(each).to_string()),
                Format::Text => line(&told(&each)),
            }
        }
        let unread = now.unread.saturating_sub(before.unread);
        if unread > 0 && reach.output == Format::Text {
            line(&format!("{unread} packets more were dropped than the node could tell apart"));
        }
        before = now;
    }
    Ok(Exit::Ok)
}

/// What is more now. A filter that was loaded anew counts from nothing.
fn since(before: &Denials, now: &Denials) -> Vec<RefusedBy> {
    let was = |each: &RefusedBy| {
        let same = |other: &&RefusedBy| other.by == each.by && other.direction == each.direction;
        before.refused.iter().find(same).map_or(0, |other| other.packets)
    };
    let more = |each: &RefusedBy| {
        let packets = each.packets.checked_sub(was(each)).unwrap_or(each.packets);
        (packets > 0).then(|| RefusedBy { packets, ..each.clone() })
    };
    now.refused.iter().filter_map(more).collect()
}

fn told(each: &RefusedBy) -> String {
    let way = if each.direction == Way::In { "to the realm" } else { "from the realm" };
    let packets = if each.packets == 1 { "packet" } else { "packets" };
    format!("{} {packets} {way} dropped {}", each.packets, super::explain::whose(&each.by))
}

#[cfg(test)]
mod tests {
    use node_protocol::call::StoppedBy;

    use super::*;

    fn refused(rule: &str, packets: u64) -> RefusedBy {
        let by = StoppedBy {
            tier: None,
            name: Some("tenant-a".parse().unwrap()),
            set: "own".to_owned(),
            rule: Some(rule.to_owned()),
            hidden: false,
        };
        RefusedBy { by, direction: Way::In, packets }
    }

    #[test]
    fn only_what_is_more_is_told() {
        let denials = |refused| Denials { refused, ..Denials::default() };
        let before = denials(vec![refused("a", 3), refused("b", 5), refused("c", 9)]);
        let now = denials(vec![refused("a", 4), refused("b", 5), refused("c", 2), refused("d", 1)]);
        let told: Vec<String> = since(&before, &now).iter().map(told).collect();
        assert_eq!(
            told,
            [
                "1 packet to the realm dropped by the set of tier tenant-a: its rule \"a\" denies it",
                "2 packets to the realm dropped by the set of tier tenant-a: its rule \"c\" denies it",
                "1 packet to the realm dropped by the set of tier tenant-a: its rule \"d\" denies it",
            ]
        );
    }
}
