//! `cargo xtask bench`: the release examples that measure, one JSON object a figure (FORMATS: Benchmarks).

use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ci::cargo;
use crate::command::{run, run_lines};
use crate::failure::Failure;
use crate::trusted_base;
use crate::workspace::Workspace;

/// A bench, the package whose example it is, and the example.
const BENCHES: [(&str, &str, &str); 6] = [
    ("policy", "boundary", "bench_policy"),
    ("filter", "datapath", "bench_filter"),
    ("tour", "leasehold", "bench_tour"),
    ("node", "leasehold", "bench_node"),
    ("keys", "channel", "bench_keys"),
    ("volume", "volume", "bench_volume"),
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
}

/// The names that may be asked for.
pub(crate) fn names() -> [&'static str; BENCHES.len()] {
    BENCHES.map(|(name, ..)| name)
}

/// Runs one bench; with `json` its lines as they are, else as a table.
pub(crate) fn bench(workspace: &Workspace, name: &str, json: bool) -> Result<(), Failure> {
    let Some((_, package, example)) = BENCHES.iter().find(|(known, ..)| *known == name) else {
        return Err(Failure::Found(vec![format!("no bench {name}; there are {}", names().join(", "))]));
    };
    if *package == "leasehold" {
        run(cargo(workspace).args(["build", "--release", "--locked", "--quiet"]).args(PROGRAMS))?;
    }
    let arguments = ["--release", "--locked", "--quiet", "--package", package, "--example", example];
    run(cargo(workspace).arg("build").args(arguments))?;
    let mut command: Command = cargo(workspace);
    command.arg("run").args(arguments).stderr(Stdio::inherit());
    let tell = |line: &str| if json { crate::say(line) } else { crate::say(&told(line)) };
    run_lines(&mut command, tell)?;
    if name == "node" {
        trusted_base::figures(workspace)?.iter().for_each(|line| tell(line));
    }
    Ok(())
}

/// A figure for a person; any other line as it is.
fn told(line: &str) -> String {
    let Ok(figure) = serde_json::from_str::<Figure>(line) else { return line.to_owned() };
    let against = figure.against.iter().map(|(peer, value)| format!("  {peer} {value}")).collect::<String>();
    format!("{:<28} {:>12.3} {}{against}", figure.figure, figure.value, figure.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_told_beside_what_it_is_measured_against() {
        let line = r#"{"bench":"filter","figure":"added_ns","value":41.0,"unit":"ns","against":{"nft_ct":877.0},"ratio":0.047,"runs":11,"spread":[38.0,47.0]}"#;
        assert_eq!(told(line), "added_ns                           41.000 ns  nft_ct 877.0");
        assert_eq!(told("anything else"), "anything else");
    }
}
