//! `leasehold dhcp …`: the console's DHCP server.

use clap::Subcommand;
use console_api::{Dhcp, DhcpLease, Page};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::output::{Format, line};
use crate::reach::Reach;
use crate::table::{table, word};

/// What can be done.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// List the addresses that were given
    List(Reach),
    /// Show the server, and what should be known of it
    Show(Reach),
}

/// Runs the verb.
pub(crate) fn run(verb: &Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::List(reach) => list(reach),
        Verb::Show(reach) => show(reach),
    }
}

fn list(reach: &Reach) -> Result<Exit, Failure> {
    let leases: Page<DhcpLease> = reach.all("/v1/dhcp/leases")?;
    match reach.output {
        Format::Json => line(&json!(leases).to_string()),
        Format::Text => {
            let rows: Vec<_> = leases.items.iter().map(row).collect();
            line(&table(["ADDRESS", "STATE", "CLASS", "UNTIL", "MAC", "CLIENT"], &rows));
        }
    }
    Ok(Exit::Ok)
}

fn row(lease: &DhcpLease) -> [String; 6] {
    [
        lease.address.to_string(),
        word(lease.standing),
        word(lease.class),
        lease.until.to_string(),
        lease.mac.clone(),
        lease.client.clone(),
    ]
}

fn show(reach: &Reach) -> Result<Exit, Failure> {
    let server: Dhcp = reach.ask(async |client| client.get("/v1/dhcp").await)?;
    if reach.output == Format::Json {
        line(&json!(server).to_string());
        return Ok(Exit::Ok);
    }
    line(&format!("DHCP on {} as {}, leases of {} s", server.interface, server.server, server.lease_s));
    for report in &server.reports {
        line(&format!("{} {}: {}", report.at, report.code, report.message));
    }
    Ok(Exit::Ok)
}
