//! `leasehold boundary matrix`: who may reach whom.

use clap::Args;
use console_api::{Matrix, MatrixPair, MatrixQuestion};
use serde_json::json;

use super::explain::protocol;
use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;

/// What is asked of each pair.
#[derive(Args)]
pub(crate) struct Question {
    /// The port that is called, where the protocol has ports
    #[arg(long, default_value_t = 443)]
    port: u16,
    /// tcp, udp, sctp, icmp, icmpv6, or a number
    #[arg(long, default_value = "tcp", value_parser = protocol)]
    protocol: u8,
    /// Between these nodes only; several times for several
    #[arg(long = "node")]
    nodes: Vec<String>,
    #[command(flatten)]
    reach: Reach,
}

/// Asks, and prints a row for each realm that begins.
pub(super) fn run(question: &Question) -> Result<Exit, Failure> {
    let Question { port, protocol, nodes, reach } = question;
    let asked = MatrixQuestion { nodes: nodes.clone(), protocol: *protocol, port: *port };
    let matrix: Matrix = reach.ask(async |client| client.post("/v1/boundaries/matrix", &asked).await)?;
    match reach.output {
        Format::Json => line(&json!(matrix).to_string()),
        Format::Text => line(&told(&matrix)),
    }
    Ok(Exit::Ok)
}

/// A square of words, and below it by whom what does not pass is stopped.
fn told(matrix: &Matrix) -> String {
    let name = |place: usize| matrix.realms.get(place).map_or("?", |realm| realm.node_name.as_str());
    let places = 0..matrix.realms.len();
    let width = places.clone().map(|place| name(place).chars().count()).max().unwrap_or(0).max(7);
    let row = |head: &str, cells: Vec<&str>| {
        let cells = cells.into_iter().map(|cell| format!("  {cell:width$}")).collect::<String>();
        format!("{head:width$}{cells}").trim_end().to_owned()
    };
    let mut lines = vec![row("FROM/TO", places.clone().map(name).collect())];
    for from in places.clone() {
        let cells = places.clone().map(|to| word(matrix, from, to)).collect();
        lines.push(row(name(from), cells));
    }
    lines.extend(matrix.pairs.iter().filter_map(|pair| stopped(pair, name)));
    lines.join("\n")
}

fn word(matrix: &Matrix, from: usize, to: usize) -> &'static str {
    let pair = matrix.pairs.iter().find(|pair| (pair.from, pair.to) == (from, to));
    match pair.map(|pair| pair.pass) {
        None => "-",
        Some(None) => "?",
        Some(Some(true)) => "yes",
        Some(Some(false)) => "no",
    }
}

fn stopped<'n>(pair: &MatrixPair, name: impl Fn(usize) -> &'n str) -> Option<String> {
    let (from, to) = (name(pair.from), name(pair.to));
    let at = if pair.stopped_at.as_deref()? == "from" { from } else { to };
    let by = match &pair.stopped_by {
        Some(by) => super::explain::whose(by),
        None => "the realm is closed".to_owned(),
    };
    Some(format!("{from} to {to}: stopped at {at}, {by}"))
}
