//! What the filter costs a packet on its way from a realm, beside nftables for the same policy and beside
//! nothing: one JSON object a figure, as `cargo xtask bench filter` prints them.
//!
//! Each way to filter has a lane of its own: realm, router and net, three network namespaces with two cables.
//! The lanes take turns, so that whatever else the machine does strikes all alike; the cost is processor time
//! (of the sending thread, and of the kernel's threads for what it leaves to them), not time on the wall. Beside it
//! stands what the kernel says the program itself takes.
//! Everything is made in a mount namespace of this process, and goes with it however it ends.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "the figures are its output")]

mod cost;
mod figures;
mod lane;
mod nft;
mod policy;
mod run;
mod streams;
mod swap;

use std::error::Error;
use std::path::Path;

use figures::{Figure, median};
use lane::{Kind, Lane};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Each figure is the median of so many rounds.
const ROUNDS: usize = 11;
/// Turns of each lane in a round, of which the median counts: what strikes one is not the filter's.
const TURNS: u32 = 5;
/// The most that the filter may add to a packet, in nanoseconds: of an open flow at any size of the policy, and of a new
/// one by 10,000 prefixes.
const ESTABLISHED_NS: f64 = 70.0;
const FIRST_NS: f64 = 400.0;
/// How many times cheaper than nftables with conntrack it is to be.
const TIMES_CHEAPER: f64 = 8.0;

fn main() -> Outcome<()> {
    if let Some(pins) = std::env::var_os(swap::SWAPPER) {
        return swap::swap_until_killed(Path::new(&pins));
    }
    os::mount::own_namespace()?;
    os::mount::private_everywhere()?;
    let folder = Path::new("/mnt");
    os::mount::tmpfs(folder, 1 << 20)?;
    std::fs::create_dir(folder.join("bpf"))?;
    os::mount::bpffs(&folder.join("bpf"))?;
    let sizes: Vec<u32> = std::env::args().skip(1).map(|size| size.parse()).collect::<Result<_, _>>()?;
    let sizes = if sizes.is_empty() { vec![16, 1_000, 10_000] } else { sizes };
    let mut kept = true;
    for prefixes in sizes {
        let kinds = [Kind::Nothing, Kind::Filter, Kind::NftAsks, Kind::NftTrusts];
        let mut lanes =
            kinds.iter().map(|kind| Lane::make(folder, *kind, prefixes)).collect::<Outcome<Vec<_>>>()?;
        let established = added(&mut lanes, &format!("established_added_ns_{prefixes}"), prefixes, false)?;
        kept &= established.at_most(Some(ESTABLISHED_NS)).cheaper(TIMES_CHEAPER).print();
        let first = added(&mut lanes, &format!("first_added_ns_{prefixes}"), prefixes, true)?;
        kept &= first.at_most((prefixes == 10_000).then_some(FIRST_NS)).print();
        kept &= run::figures(&mut lanes[1], prefixes, ESTABLISHED_NS)?;
        if prefixes == 10_000 {
            kept &= streams::ratios(&mut lanes)?;
            kept &= swap::measure(&mut lanes[1])?;
        }
    }
    if kept { Ok(()) } else { Err("a figure is beyond its bound".into()) }
}

/// What each lane's packets cost more than those of the lane without a filter, each in turn.
fn added(lanes: &mut [Lane], name: &str, prefixes: u32, first: bool) -> Outcome<Figure> {
    let mut of_lane: Vec<Vec<f64>> = vec![Vec::new(); lanes.len()];
    // Round 0 opens the flows, and warms up.
    for round in 0..=ROUNDS {
        let mut of_turn: Vec<Vec<f64>> = vec![Vec::new(); lanes.len()];
        lanes.iter_mut().try_for_each(|lane| lane.begin(first.then_some(round)))?;
        for turn in 0..TURNS {
            let mut costs = Vec::new();
            for lane in &mut *lanes {
                let cost = lane.cost_of_turn(prefixes, turn, first);
                costs.push(cost.map_err(|error| format!("{name}, round {round}: {error}"))?);
            }
            for (all, cost) in of_turn.iter_mut().zip(&costs) {
                all.push(cost - costs[0]);
            }
        }
        for (all, turns) in of_lane.iter_mut().zip(&mut of_turn).filter(|_| round > 0) {
            all.push(median(turns));
        }
    }
    let mut medians = of_lane.iter_mut().map(|all| median(all));
    let (_, _, asks, trusts) = (medians.next(), medians.next(), medians.next(), medians.next());
    let figure = Figure::of(name, "ns", &mut of_lane[1].clone());
    Ok(figure.against("nft_ct", asks).against("nft_ct_trusting", trusts))
}

/// UDP from the realm.
fn frame(router: [u8; 6], remote: u32, local_port: u16, remote_port: u16) -> Vec<u8> {
    let mut frame = router.to_vec();
    frame.extend(policy::MAC);
    frame.extend([8, 0, 0x45, 0, 0, 46, 0, 1, 0, 0, 64, 17, 0, 0]);
    frame.extend(policy::OWN.octets());
    frame.extend(remote.to_be_bytes());
    frame.extend(local_port.to_be_bytes());
    frame.extend(remote_port.to_be_bytes());
    frame.extend([0, 26, 0, 0]);
    frame.resize(60, 0);
    frame
}
