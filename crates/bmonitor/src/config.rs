//! `bmonitor.toml`: where things are, and which addresses the realms have. Read once, at the start;
//! every bad setting is reported at once, with its line.

mod reader;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use id::{Digest, Name};

use self::reader::Table;

/// The longest configuration file.
pub(crate) const BYTES_MAX: u64 = 64 * 1024;
const REALMS_MAX: usize = 16;
const ADDRESSES_MAX: usize = 8;
const MANAGEMENT_MAX: usize = 16;
const ORDERERS_MAX: usize = 16;

/// The file's name in the configuration folder.
pub(crate) const FILE: &str = "bmonitor.toml";

/// A node's settings. One that exists is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    /// What the node is called in messages.
    pub(crate) name: Name,
    /// Holds `journal/`, `objects/`, `custody/`, `receipts/`.
    pub(crate) state: PathBuf,
    /// Holds the socket.
    pub(crate) run: PathBuf,
    /// A mounted bpffs of this node's own; it must outlive the supervisor.
    pub(crate) pins: PathBuf,
    /// Where realms' network namespaces get their names.
    pub(crate) namespaces: PathBuf,
    /// What those names begin with.
    pub(crate) prefix: String,
    /// The bridge that realms are plugged into.
    pub(crate) bridge: String,
    /// The node's and the consoles' management addresses: no realm ever reaches them.
    pub(crate) management: Vec<IpAddr>,
    /// Uids beside 0 that may speak to the socket.
    pub(crate) orderers: Vec<u32>,
    /// Whether the node's address, and those of realms that are not in `realms`, come by DHCP.
    pub(crate) dhcp: bool,
    /// The realms whose addresses are said here.
    pub(crate) realms: Vec<Realm>,
    /// The folder that has the volumes' images and in which they are mounted; none: no tier has volumes here.
    pub(crate) volumes: Option<PathBuf>,
    /// The control group at the root of each hierarchy that has those of the engines.
    pub(crate) cgroup: String,
    /// The file on another medium that has the key of custody's store.
    pub(crate) key_file: Option<PathBuf>,
}

/// What one tier's realm looks like on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Realm {
    /// The tier's name.
    pub(crate) tier: Name,
    /// Its addresses with their prefix lengths.
    pub(crate) addresses: Vec<(IpAddr, u8)>,
    /// Its ways out, at most one a family.
    pub(crate) gateways: Vec<IpAddr>,
}

impl Config {
    /// Where the supervisor listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.join("bmonitor.sock")
    }

    /// The folder of a part of the state.
    pub(crate) fn state(&self, part: &str) -> PathBuf {
        self.state.join(part)
    }

    /// The realm of a tier, if it can have one here.
    pub(crate) fn realm(&self, tier: &Name) -> Option<&Realm> {
        self.realms.iter().find(|realm| realm.tier == *tier)
    }

    /// The name of a realm's network namespace.
    pub(crate) fn namespace(&self, tier: &Name) -> PathBuf {
        self.namespaces.join(format!("{}-{tier}", self.prefix))
    }

    /// The folder with a realm's pinned maps and program.
    pub(crate) fn pins(&self, tier: &Name) -> PathBuf {
        self.pins.join(tier.as_str())
    }

    /// A realm's hardware address: of the locally administered ones (IEEE 802), made of the two names,
    /// so that it is the same after every start.
    pub(crate) fn mac(&self, tier: &Name) -> [u8; 6] {
        let digest = id::Digester::new("realm mac").part(self.name.as_str().as_bytes());
        let digest = digest.part(tier.as_str().as_bytes()).finish();
        let [a, b, c, d, e, ..] = *digest.as_bytes();
        [0x02, a, b, c, d, e]
    }

    /// Reads a file's text. `file` is for the messages.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let config = Self::read(text, &mut problems);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            Some(_) | None => {
                problems.sort();
                Err(Problems { file: file.to_owned(), problems })
            }
        }
    }

    fn read(text: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let (document, errors) = toml::de::DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            problems.extend(errors.iter().map(|error| {
                Problem::at(text, error.span().map_or(0, |span| span.start), error.message().to_owned())
            }));
            return None;
        }
        let mut table = Table::new(text, document, "", problems);
        // Another version's keys would all be called unknown: one message is enough.
        table.integer("version", 1..=1)?;
        let name = table.parsed::<Name>("name");
        // Without a name it does not matter: there is a problem already.
        let default_prefix = name.as_ref().map_or("lh".to_owned(), |name| format!("lh-{name}"));
        let state = table.folder("state", None);
        let run = table.folder("run", None);
        let pins = table.folder("pins", None);
        let namespaces = table.folder("namespaces", Some("/run/netns"));
        let prefix = table.text("prefix", Some(&default_prefix), prefix_is_right, PREFIX_SHAPE);
        let bridge = table.text("bridge", None, link_name_is_right, LINK_SHAPE);
        let management = table.addresses("management", 0..=MANAGEMENT_MAX);
        let orderers = table.integers("orderers", ORDERERS_MAX);
        let dhcp = table.flag("dhcp");
        let realms = table.tables("realm", REALMS_MAX, realm);
        let default_cgroup = name.as_ref().map_or("bmonitor".to_owned(), |name| format!("bmonitor-{name}"));
        let cgroup =
            table.part("engines", |engines| engines.text("cgroup", None, prefix_is_right, PREFIX_SHAPE));
        let key_file = table.part("custody", |custody| custody.file("key_file"));
        let volumes = table.part("volumes", |volumes| volumes.folder("directory", None).map(Some));
        table.finish();
        let config = Self {
            name: name?,
            state: state?,
            run: run?,
            pins: pins?,
            namespaces: namespaces?,
            prefix: prefix?,
            bridge: bridge?,
            management: management?,
            orderers: orderers?,
            dhcp: dhcp?,
            realms: realms?,
            volumes: volumes?,
            cgroup: cgroup.map(|cgroup| if cgroup.is_empty() { default_cgroup } else { cgroup })?,
            key_file: key_file?,
        };
        config.check_together(text, problems);
        Some(config)
    }

    /// What no setting can break alone.
    fn check_together(&self, text: &str, problems: &mut Vec<Problem>) {
        let mut whole = |message: String| problems.push(Problem::at(text, 0, message));
        for (index, realm) in self.realms.iter().enumerate() {
            let others = &self.realms[..index];
            if others.iter().any(|other| other.tier == realm.tier) {
                whole(format!("tier {} has two realms", realm.tier));
            }
            for (address, _prefix) in &realm.addresses {
                let taken =
                    others.iter().flat_map(|other| &other.addresses).any(|(other, _)| other == address);
                if taken || self.management.contains(address) {
                    whole(format!("address {address} is given twice"));
                }
            }
        }
        // sun_path of unix(7) holds 108 bytes with its end.
        if self.socket().as_os_str().len() > 107 {
            whole("`run` is too long for the name of a socket in it (at most 93 bytes)".to_owned());
        }
    }
}

/// The name of a realm's link on the host's side: 14 characters, of which links have at most 15.
pub(crate) fn host_link(tier: &Name) -> String {
    let digest = Digest::of(tier.as_str().as_bytes()).to_string();
    format!("r{}", &digest["sha256:".len()..][..13])
}

fn realm(table: &mut Table<'_, '_>) -> Option<Realm> {
    let tier = table.parsed::<Name>("tier");
    let addresses = table.prefixed_addresses("address", 1..=ADDRESSES_MAX);
    let gateways = table.addresses("gateway", 0..=2);
    Some(Realm { tier: tier?, addresses: addresses?, gateways: gateways? })
}

const PREFIX_SHAPE: &str = "1 to 64 of a-z, 0-9 and -, beginning with a letter";

fn prefix_is_right(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
}

const LINK_SHAPE: &str = "the name of a link: 1 to 15 of a-z, A-Z, 0-9, - and _";

fn link_name_is_right(text: &str) -> bool {
    (1..=15).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Everything that is wrong with a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problems {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One bad setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Problem {
    line: usize,
    message: String,
}

impl Problem {
    fn at(text: &str, offset: usize, message: String) -> Self {
        let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
        Self { line: 1 + before.iter().filter(|byte| **byte == b'\n').count(), message }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let line_end = if index == 0 { "" } else { "\n" };
            write!(f, "{line_end}{}:{}: {}", self.file.display(), problem.line, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
