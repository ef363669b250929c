//! The landlord's map of names to addresses (FORMATS, "Directory file").

mod written;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use id::{INTEGER_MAX, KeyId, Name};
use packet_set::{address_number, address_of};
use toml::de::DeTable;

use crate::addresses::{self, AddressRanges};
use crate::document::{Document, Entry, check_version};
use crate::problem::{Problem, Problems, quoted};

/// Each with an example of its use, for hints.
const KEYS: [(&str, &str); 5] = [
    ("version", "version = 1"),
    ("serial", "serial = 7"),
    ("facility", r#"facility = ["10.0.0.0/8", "fd00:10::/32"]"#),
    ("management", r#"management = ["10.0.0.2", "10.0.250.0/24"]"#),
    ("node", "[node.web-1]"),
];
const NODE_KEYS: [(&str, &str); 6] = [
    ("addresses", r#"addresses = ["10.1.0.11"]"#),
    ("management", r#"management = ["10.0.0.11"]"#),
    ("key", r#"key = "lh1:…""#),
    ("cluster", r#"cluster = "bakery""#),
    ("groups", r#"groups = ["db"]"#),
    ("realm", "[node.web-1.realm.tenant-a]"),
];
const REALM_KEYS: [(&str, &str); 1] = [("addresses", r#"addresses = ["10.1.0.11"]"#)];

/// Addresses of one realm: as many as a filter compares.
pub const REALM_ADDRESSES_MAX: usize = 16;

/// What the names in rules mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    serial: Option<u64>,
    facility: AddressRanges,
    management: AddressRanges,
    nodes: BTreeMap<Name, Node>,
}

/// A node's entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its realms' addresses, IPv4 as v4-mapped: what `node:x` in a rule means.
    pub addresses: Vec<u128>,
    /// Those of each realm, by its tier's name on the node; all of them are in `addresses`.
    pub realms: BTreeMap<Name, Vec<u128>>,
    /// Its own, which no rule speaks of.
    pub management: Vec<u128>,
    /// Its key's id.
    pub key: Option<KeyId>,
    /// Its cluster.
    pub cluster: Option<Name>,
    /// Its groups.
    pub groups: Vec<Name>,
}

impl Directory {
    /// Reads a directory file.
    ///
    /// # Errors
    /// Every fault, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problems> {
        let document = Document::new(bytes)?;
        let top = document.parse()?;
        let entries = document.entries(&top);
        check_version(&entries)?;
        let mut problems = Vec::new();
        let mut directory = Self::default();
        for entry in &entries {
            let read = match entry.key {
                "version" => Ok(()),
                "serial" => serial(entry).map(|serial| directory.serial = Some(serial)),
                "facility" => ranges(entry).map(|facility| directory.facility = facility),
                "management" => ranges(entry).map(|management| directory.management = management),
                "node" => entry.table().map(|nodes| directory.read_nodes(&document, nodes, &mut problems)),
                other => {
                    let problem =
                        Problem::new(entry.line, format!("a directory file has no key {}", quoted(other)));
                    Err(problem.nearest(other, KEYS.map(|(key, _)| key)))
                }
            };
            problems.extend(read.err().map(|problem| problem.example(entry.key, &KEYS)));
        }
        problems.extend(directory.shared_addresses());
        match Problems::of(problems) {
            None => Ok(directory),
            Some(problems) => Err(problems),
        }
    }

    fn read_nodes<'t>(&mut self, document: &Document<'t>, nodes: &DeTable<'t>, problems: &mut Vec<Problem>) {
        let mut keys: BTreeMap<KeyId, String> = BTreeMap::new();
        for entry in document.entries(nodes) {
            let name = entry
                .key
                .parse::<Name>()
                .map_err(|malformed| Problem::new(entry.line, malformed.to_string()));
            let node = entry.table().map(|table| Node::read(document, (entry.line, table), problems));
            match (name, node) {
                (Ok(name), Ok(node)) => {
                    if let Some(other) = node.key.and_then(|key| keys.insert(key, name.to_string())) {
                        let error = format!("nodes `{other}` and `{name}` have the same key");
                        problems.push(Problem::new(entry.line, error).hint("each node has a key of its own"));
                    }
                    self.nodes.insert(name, node);
                }
                (name, node) => {
                    let faults = name.err().into_iter().chain(node.err());
                    problems.extend(faults.map(|problem| problem.example("node", &KEYS)));
                }
            }
        }
    }

    /// A realm's address is that realm's alone.
    fn shared_addresses(&self) -> Option<Problem> {
        let mut seen: BTreeMap<u128, (&Name, &Name)> = BTreeMap::new();
        for (name, node) in &self.nodes {
            for (tier, addresses) in &node.realms {
                for address in addresses {
                    if let Some((other, its)) = seen.insert(*address, (name, tier)) {
                        let shown = address_of(*address);
                        let error =
                            format!("{shown} is of realm `{its}` on `{other}` and `{tier}` on `{name}`");
                        return Some(Problem::new(1, error).hint("give each realm addresses of its own"));
                    }
                }
            }
        }
        None
    }

    /// An empty directory of that version.
    #[must_use]
    pub fn numbered(serial: u64) -> Self {
        Self { serial: Some(serial), ..Self::default() }
    }

    /// Says which addresses, prefixes and ranges are the facility's.
    ///
    /// # Errors
    /// What is none of these.
    pub fn set_facility(&mut self, texts: &[impl AsRef<str>]) -> Result<(), String> {
        self.facility = ranges_of(texts)?;
        Ok(())
    }

    /// Says which addresses, prefixes and ranges no realm reaches, beside the nodes' own.
    ///
    /// # Errors
    /// What is none of these.
    pub fn set_management(&mut self, texts: &[impl AsRef<str>]) -> Result<(), String> {
        self.management = ranges_of(texts)?;
        Ok(())
    }

    /// Enters a node, or another entry for it.
    pub fn insert(&mut self, name: Name, node: Node) {
        self.nodes.insert(name, node);
    }

    /// The entry of the node with that key.
    #[must_use]
    pub fn node_of_key(&self, key: &KeyId) -> Option<(&Name, &Node)> {
        self.nodes.iter().find(|(_, node)| node.key.as_ref() == Some(key))
    }

    /// What no realm reaches: the nodes' own addresses, consoles, BMCs. Ascending and disjoint.
    #[must_use]
    pub fn management(&self) -> Vec<(u128, u128)> {
        let nodes = self.nodes.values().flat_map(|node| &node.management).map(|address| (*address, *address));
        addresses::normalise(self.management.iter().copied().chain(nodes).collect())
    }

    /// Counts the directory's versions; never goes back.
    #[must_use]
    pub const fn serial(&self) -> Option<u64> {
        self.serial
    }

    /// The facility's addresses, ascending and disjoint.
    #[must_use]
    pub fn facility(&self) -> &[(u128, u128)] {
        &self.facility
    }

    /// The nodes.
    pub fn nodes(&self) -> impl Iterator<Item = (&Name, &Node)> {
        self.nodes.iter()
    }

    /// All realms' addresses, in the order of the nodes' names.
    pub fn addresses(&self) -> impl Iterator<Item = u128> {
        self.nodes.values().flat_map(|node| node.addresses.iter().copied())
    }

    /// A node's realm addresses; nothing if there is no such node.
    pub(crate) fn node(&self, name: &Name) -> Option<Vec<u128>> {
        self.nodes.get(name).map(|node| node.addresses.clone())
    }

    pub(crate) fn cluster(&self, name: &Name) -> Option<Vec<u128>> {
        self.members(|node| node.cluster.as_ref() == Some(name))
    }

    pub(crate) fn group(&self, name: &Name) -> Option<Vec<u128>> {
        self.members(|node| node.groups.contains(name))
    }

    pub(crate) fn key(&self, key: &KeyId) -> Option<Vec<u128>> {
        self.members(|node| node.key.as_ref() == Some(key))
    }

    fn members(&self, is_member: impl Fn(&Node) -> bool) -> Option<Vec<u128>> {
        let mut members = self.nodes.values().filter(|node| is_member(node)).peekable();
        members.peek()?;
        Some(members.flat_map(|node| node.addresses.iter().copied()).collect())
    }

    /// The names of a kind, for a hint.
    pub(crate) fn known(&self, kind: &str) -> BTreeSet<String> {
        let nodes = self.nodes.iter();
        match kind {
            "node" => nodes.map(|(name, _)| name.to_string()).collect(),
            "cluster" => nodes.filter_map(|(_, node)| node.cluster.as_ref()).map(Name::to_string).collect(),
            "group" => nodes.flat_map(|(_, node)| &node.groups).map(Name::to_string).collect(),
            _ => nodes.filter_map(|(_, node)| node.key.as_ref()).map(KeyId::to_string).collect(),
        }
    }
}

impl Node {
    /// Enters a realm's addresses: the node's are those of all its realms.
    pub fn set_realm(&mut self, tier: Name, addresses: &[IpAddr]) {
        let numbers = addresses.iter().copied().map(address_number).collect();
        let old = self.realms.insert(tier, numbers).unwrap_or_default();
        self.addresses.retain(|address| !old.contains(address));
        let new = self.realms.values().flatten().copied();
        self.addresses.extend(new.collect::<Vec<_>>());
        self.addresses.sort_unstable();
        self.addresses.dedup();
    }

    /// Enters the node's own addresses.
    pub fn set_management(&mut self, addresses: &[IpAddr]) {
        self.management = addresses.iter().copied().map(address_number).collect();
    }

    /// The addresses of the realm of the tier with that name, if it has an entry.
    #[must_use]
    pub fn realm(&self, tier: &Name) -> Option<Vec<IpAddr>> {
        Some(self.realms.get(tier)?.iter().copied().map(address_of).collect())
    }

    fn read<'t>(
        document: &Document<'t>,
        (line, table): (usize, &DeTable<'t>),
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut node = Self::default();
        let mut listed = None;
        for entry in document.entries(table) {
            let read = match entry.key {
                "addresses" => address_list(&entry).map(|addresses| listed = Some(addresses)),
                "realm" => entry.table().map(|realms| node.read_realms(document, realms, problems)),
                "management" => address_list(&entry).map(|addresses| node.management = addresses),
                "key" => parsed(&entry, entry.string()).map(|key| node.key = Some(key)),
                "cluster" => parsed(&entry, entry.string()).map(|name| node.cluster = Some(name)),
                "groups" => entry.strings().and_then(|names| {
                    node.groups =
                        names.into_iter().map(|name| parsed(&entry, Ok(name))).collect::<Result<_, _>>()?;
                    Ok(())
                }),
                other => {
                    let problem = Problem::new(entry.line, format!("a node has no key {}", quoted(other)));
                    Err(problem.nearest(other, NODE_KEYS.map(|(key, _)| key)))
                }
            };
            problems.extend(read.err().map(|problem| problem.example(entry.key, &NODE_KEYS)));
        }
        let mut all: Vec<u128> = node.realms.values().flatten().copied().collect();
        if node.realms.is_empty() {
            node.addresses = listed.unwrap_or_default();
        } else {
            let sorted = |mut addresses: Vec<u128>| {
                addresses.sort_unstable();
                addresses.dedup();
                addresses
            };
            all = sorted(all);
            if listed.is_some_and(|listed| sorted(listed) != all) {
                let problem = Problem::new(line, "`addresses` are not those of the realms");
                problems.push(problem.hint("leave `addresses` out: they follow from the realms"));
            }
            node.addresses = all;
        }
        node
    }

    fn read_realms<'t>(
        &mut self,
        document: &Document<'t>,
        realms: &DeTable<'t>,
        problems: &mut Vec<Problem>,
    ) {
        for entry in document.entries(realms) {
            let name = entry.key.parse::<Name>().map_err(|bad| Problem::new(entry.line, bad.to_string()));
            let addresses = entry.table().and_then(|table| read_realm(document, (entry.line, table)));
            match (name, addresses) {
                (Ok(name), Ok(addresses)) => drop(self.realms.insert(name, addresses)),
                (name, addresses) => {
                    let faults = name.err().into_iter().chain(addresses.err());
                    problems.extend(faults.map(|problem| problem.example("realm", &NODE_KEYS)));
                }
            }
        }
    }
}

fn read_realm<'t>(
    document: &Document<'t>,
    (line, table): (usize, &DeTable<'t>),
) -> Result<Vec<u128>, Problem> {
    let mut found = None;
    for entry in document.entries(table) {
        if entry.key != "addresses" {
            let problem = Problem::new(entry.line, format!("a realm has no key {}", quoted(entry.key)));
            return Err(problem.nearest(entry.key, REALM_KEYS.map(|(key, _)| key)));
        }
        let addresses = address_list(&entry).map_err(|problem| problem.example(entry.key, &REALM_KEYS))?;
        let each: BTreeSet<u128> = addresses.iter().copied().collect();
        if addresses.is_empty() || addresses.len() > REALM_ADDRESSES_MAX || each.len() != addresses.len() {
            let wanted = format!("1 to {REALM_ADDRESSES_MAX} addresses are wanted, each once");
            return Err(entry.problem(wanted).example(entry.key, &REALM_KEYS));
        }
        found = Some(addresses);
    }
    found.ok_or_else(|| Problem::new(line, "a realm has `addresses`").example("addresses", &REALM_KEYS))
}

fn parsed<T>(entry: &Entry<'_, '_>, text: Result<&str, Problem>) -> Result<T, Problem>
where
    T: std::str::FromStr<Err = id::Malformed>,
{
    text?.parse().map_err(|malformed| entry.problem(malformed))
}

fn serial(entry: &Entry<'_, '_>) -> Result<u64, Problem> {
    let serial = entry.integer()?;
    if serial > INTEGER_MAX {
        return Err(entry.problem("a number below 2^53 is wanted"));
    }
    Ok(serial)
}

fn ranges(entry: &Entry<'_, '_>) -> Result<AddressRanges, Problem> {
    let mut found = Vec::new();
    for text in entry.strings()? {
        let mut ranges = addresses::parse(text).map_err(|(error, hint)| {
            let problem = entry.problem(error);
            match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        })?;
        found.append(&mut ranges);
    }
    Ok(addresses::normalise(found))
}

fn ranges_of(texts: &[impl AsRef<str>]) -> Result<AddressRanges, String> {
    let mut found = Vec::new();
    for text in texts {
        found.append(&mut addresses::parse(text.as_ref()).map_err(|(error, _hint)| error)?);
    }
    Ok(addresses::normalise(found))
}

fn address_list(entry: &Entry<'_, '_>) -> Result<Vec<u128>, Problem> {
    let address = |text: &str| {
        addresses::parse_address(text).ok_or_else(|| {
            let problem = entry.problem(format!("{} is no address", quoted(text)));
            if text.contains('/') {
                problem.hint("a node has single addresses, without a prefix length")
            } else {
                problem
            }
        })
    };
    entry.strings()?.into_iter().map(address).collect()
}
