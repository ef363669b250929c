//! What steps of the demo's tour measure, of several runs: how soon a dead node is known, how soon its spare serves the
//! page, how soon an engine that was killed does.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use lab::Failed;
use serde_json::Value;

use super::figure::{figure, sorted};
use super::program;

const RUNS: usize = 5;
/// "The built tour under 120 s" (issue 4).
const TOUR_S: f64 = 120.0;
/// Step, what it calls the figure, how it is called here, and what issue 4 asks of it.
const FIGURES: [(&str, &str, &str, f64); 3] = [
    ("node-dead", "dead_known_s", "dead_known_s", 3.5),
    ("node-dead", "dead_to_served_s", "dead_to_served_s", 10.0),
    ("engine-killed", "killed_to_served_s", "engine_restart_s", 1.0),
];

/// The figures, a JSON object each.
pub(super) fn figures() -> Result<Vec<String>, Failed> {
    let runs = (0..RUNS).map(|_| tour()).collect::<Result<Vec<_>, Failed>>()?;
    let row = |(step, fact, name, bound): (&str, &str, &str, f64)| {
        let each = runs.iter().map(|steps| {
            let step = steps.iter().find(|told| told["step"] == step);
            step.and_then(|step| step["evidence"][fact].as_f64()).ok_or(fact)
        });
        let each = each.collect::<Result<Vec<f64>, _>>();
        let each = each.map_err(|fact| Failed::new(format!("read {fact}"), "no step has it"))?;
        Ok(figure(name, "s", &sorted(each.into_iter()), 0.5, Some(bound)))
    };
    let whole = runs.iter().map(|steps| steps.iter().filter_map(|step| step["seconds"].as_f64()).sum());
    let whole = figure("tour_s", "s", &sorted(whole), 0.5, Some(TOUR_S));
    std::iter::once(Ok(whole)).chain(FIGURES.into_iter().map(row)).collect()
}

/// Goes through a tour of its own; what its steps tell.
fn tour() -> Result<Vec<Value>, Failed> {
    let act = || "go through the tour".to_owned();
    let prefix = format!("b{:x}", std::process::id() & 0xfff_ffff);
    let mut command = Command::new(program("leasehold")?);
    command.args(["demo", "--exit", "-o", "json", "--prefix", &prefix]).stdout(Stdio::piped());
    let mut demo = command.spawn().map_err(|error| Failed::new(act(), error))?;
    let lines = demo.stdout.take().map(BufReader::new).into_iter().flat_map(BufReader::lines);
    let steps: Vec<Value> =
        lines.map_while(Result::ok).filter_map(|line| serde_json::from_str(&line).ok()).collect();
    let ended = demo.wait().map_err(|error| Failed::new(act(), error))?;
    if ended.success() {
        return Ok(steps);
    }
    Err(Failed::new(act(), steps.last().map_or_else(|| ended.to_string(), Value::to_string)))
}
