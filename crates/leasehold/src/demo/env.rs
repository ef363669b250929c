//! `leasehold demo env`: what a second shell needs to act as one of the demo's parties.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use keys::write_key_file;
use lab::{Facility, Failed, Guard, Party, Thing};

use super::consoles_up::party_of;
use super::prefix::Prefix;
use super::world::{LANDLORD, Parties, TEAM, TENANT_A, TENANT_B};
use crate::failure::{Exit, Failure};
use crate::output::line;

const NODES: &str = "nodes";

/// Whom the second shell is to act as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Who {
    /// The root of every node
    Landlord,
    /// The first tenant
    TenantA,
    /// The tenant after it
    TenantB,
    /// The first tenant's sub-tenant
    Team,
}

impl Who {
    const fn name(self) -> &'static str {
        match self {
            Self::Landlord => LANDLORD,
            Self::TenantA => TENANT_A,
            Self::TenantB => TENANT_B,
            Self::Team => TEAM,
        }
    }
}

/// Leaves keys and addresses for [`run`]; the guard takes them away with the demo.
pub(crate) fn leave(
    parties: &Parties,
    facility: &Facility,
    guard: &Guard,
    prefix: &Prefix,
) -> Result<(), Failed> {
    let folder = prefix.folder();
    let failed = |error: io::Error| Failed::new(format!("leave keys in {}", folder.display()), error);
    let _making = guard.making()?;
    guard.record(&Thing::Folder(folder.clone()))?;
    fs::DirBuilder::new().mode(0o700).create(&folder).map_err(failed)?;
    let all: [(&str, &Party); 4] = [
        (LANDLORD, &parties.landlord),
        (TENANT_A, &parties.tenant_a),
        (TENANT_B, &parties.tenant_b),
        (TEAM, &parties.team),
    ];
    for (name, party) in all {
        put(&key_file(&folder, name), write_key_file(party.key()).as_bytes()).map_err(failed)?;
    }
    for console in facility.consoles() {
        let exports = console.environment().iter().map(|(name, value)| format!("export {name}={value}\n"));
        put(&console_file(&folder, party_of(console.name())), exports.collect::<String>().as_bytes())
            .map_err(failed)?;
    }
    let exports = facility
        .nodes()
        .iter()
        .map(|node| format!("export BMONITOR_{}={}\n", node.name().to_uppercase(), node.socket().display()));
    put(&folder.join(NODES), exports.collect::<String>().as_bytes()).map_err(failed)
}

/// Prints shell lines: the party's key file, its console, and each node's socket.
pub(crate) fn run(who: Who, prefix: &Prefix) -> Result<Exit, Failure> {
    let folder = prefix.folder();
    let nodes = fs::read_to_string(folder.join(NODES)).map_err(|error| {
        let failure = Failure::new(Exit::NotFound, format!("no demo is running here ({error})"));
        failure.hint("start one in another shell: leasehold demo")
    })?;
    line(&format!("export LEASEHOLD_PARTY={}", who.name()));
    line(&format!("export LEASEHOLD_KEY={}", key_file(&folder, who.name()).display()));
    // The team has none: it lives with the tenant's.
    fs::read_to_string(console_file(&folder, who.name())).unwrap_or_default().lines().for_each(line);
    nodes.lines().for_each(line);
    Ok(Exit::Ok)
}

fn console_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.console"))
}

fn key_file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.key"))
}

fn put(path: &Path, bytes: &[u8]) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(bytes)
}
