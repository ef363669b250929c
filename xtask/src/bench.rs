//! `cargo xtask bench`: the release examples that measure, one JSON object a figure (FORMATS: Benchmarks). A figure that
//! has a bound and misses it is a failure.

use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ci::cargo;
use crate::command::{run, run_lines};
use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{load, trusted_base};

/// A bench, and the examples that measure for it, each with its package.
type Bench = (&'static str, &'static [(&'static str, &'static str)]);

const BENCHES: [Bench; 8] = [
    ("policy", &[("boundary", "bench_policy")]),
    ("filter", &[("datapath", "bench_filter")]),
    ("tour", &[("leasehold", "bench_tour"), ("volume", "bench_volume")]),
    ("revoke", &[("leasehold", "bench_revoke")]),
    ("node", &[("leasehold", "bench_node")]),
    ("engine", &[("engine", "bench_engine")]),
    ("keys", &[("channel", "bench_keys")]),
    ("volume", &[("volume", "bench_volume")]),
];

/// What the examples of `leasehold` start, built beside them.
const PROGRAMS: [&str; 7] =
    ["--package", "leasehold", "--package", "bmonitor", "--package", "courier", "--bins"];

/// One line of a bench.
#[derive(Debug, Deserialize)]
struct Figure {
    figure: String,
    value: f64,
    unit: String,
    #[serde(default)]
    against: Map<String, Value>,
    /// Of all runs, the middle one.
    #[serde(default)]
    median: Option<f64>,
    /// Of all runs, the least and the most.
    #[serde(default)]
    spread: Option<[f64; 2]>,
    /// What no run may be above.
    #[serde(default)]
    bound: Option<f64>,
    /// What the value, a median, may not be above: the example itself fails then.
    #[serde(default)]
    median_bound: Option<f64>,
    /// What the value, a median, may not be below: the example itself fails then.
    #[serde(default)]
    median_least: Option<f64>,
}

/// The names that may be asked for.
pub(crate) fn names() -> [&'static str; BENCHES.len()] {
    BENCHES.map(|(name, ..)| name)
}

/// Runs one bench; with `json` its lines as they are, else as a table.
pub(crate) fn bench(workspace: &Workspace, name: &str, json: bool) -> Result<(), Failure> {
    let Some((_, examples)) = BENCHES.iter().find(|(known, ..)| *known == name) else {
        return Err(Failure::Found(vec![format!("no bench {name}; there are {}", names().join(", "))]));
    };
    let mut missed = Vec::new();
    let mut tell = |line: &str| {
        crate::say(&if json { line.to_owned() } else { told(line, &load()) });
        missed.extend(misses(line));
    };
    for (package, example) in *examples {
        if *package == "leasehold" {
            run(cargo(workspace).args(["build", "--release", "--locked", "--quiet"]).args(PROGRAMS))?;
        }
        let arguments = ["--release", "--locked", "--quiet", "--package", package, "--example", example];
        run(cargo(workspace).arg("build").args(arguments))?;
        let mut command: Command = cargo(workspace);
        command.arg("run").args(arguments).stderr(Stdio::inherit());
        run_lines(&mut command, &mut tell)?;
    }
    if name == "node" {
        trusted_base::figures(workspace)?.iter().for_each(|line| tell(line));
    }
    Failure::unless_empty(missed)
}

/// A figure for a person; any other line as it is.
fn told(line: &str, load: &str) -> String {
    let Ok(figure) = serde_json::from_str::<Figure>(line) else { return line.to_owned() };
    let against = figure.against.iter().map(|(peer, value)| format!("  {peer} {value}")).collect::<String>();
    let mut told = format!("{:<28} {:>12.3} {}{against}", figure.figure, figure.value, figure.unit);
    if let (Some(bound), Some(median), Some([_, worst])) = (figure.bound, figure.median, figure.spread) {
        told += &format!("  bound {bound}  median {median}  worst {worst}  load {load}");
    }
    if let (Some(bound), Some([_, worst])) = (figure.median_bound, figure.spread) {
        told += &format!("  bound of the median {bound}  worst {worst}  load {load}");
    }
    if let (Some(least), Some([worst, _])) = (figure.median_least, figure.spread) {
        told += &format!("  at least {least}  worst {worst}  load {load}");
    }
    told
}

/// What a line says that is above its bound.
fn misses(line: &str) -> Option<String> {
    let figure: Figure = serde_json::from_str(line).ok()?;
    let (bound, worst) = (figure.bound?, figure.spread.map_or(figure.value, |[_, worst]| worst));
    // What is no number keeps no bound.
    let keeps = worst <= bound;
    (!keeps).then(|| format!("{} is {worst} {}, not {bound} at most", figure.figure, figure.unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_beside_what_it_is_measured_against() {
        let line = r#"{"bench":"filter","figure":"added_ns","value":41.0,"unit":"ns","against":{"nft_ct":877.0},"ratio":0.047,"runs":11,"spread":[38.0,47.0]}"#;
        assert_eq!(told(line, "1.0"), "added_ns                           41.000 ns  nft_ct 877.0");
        let ratio = r#"{"bench":"filter","figure":"http_ratio","value":0.97,"unit":"ratio","median_least":0.9,"runs":11,"spread":[0.91,1.02]}"#;
        assert!(told(ratio, "1.0").ends_with("0.970 ratio  at least 0.9  worst 0.91  load 1.0"));
        assert_eq!(told("anything else", "1.0"), "anything else");
        assert_eq!(misses(line), None);
    }

    #[test]
    fn a_figure_above_its_bound_is_a_failure() {
        let line = |worst: f64| {
            format!(
                r#"{{"bench":"tour","figure":"dead_known_s","value":3.0,"unit":"s","runs":5,"median":3.0,"spread":[1.0,{worst:.1}],"bound":3.5}}"#
            )
        };
        assert!(told(&line(3.6), "4.2").ends_with("3.000 s  bound 3.5  median 3  worst 3.6  load 4.2"));
        assert_eq!(misses(&line(3.6)).unwrap(), "dead_known_s is 3.6 s, not 3.5 at most");
        assert_eq!((misses(&line(3.5)), misses("anything else")), (None, None));
        let unbound = line(9.0).replace(",\"bound\":3.5", "");
        assert_eq!(misses(&unbound), None);
        assert_eq!(misses(&line(9.0).replace("3.5", "null")), None);
    }
}
