//! The landlord's map of names to addresses (FORMATS, "Directory file").

use std::collections::{BTreeMap, BTreeSet};

use id::{INTEGER_MAX, KeyId, Name};
use toml::de::DeTable;

use crate::addresses::{self, AddressRanges};
use crate::document::{Document, Entry, check_version};
use crate::problem::{Problem, Problems, quoted};

/// Each with an example of its use, for hints.
const KEYS: [(&str, &str); 4] = [
    ("version", "version = 1"),
    ("serial", "serial = 7"),
    ("facility", r#"facility = ["10.0.0.0/8", "fd00:10::/32"]"#),
    ("node", "[node.web-1]"),
];
const NODE_KEYS: [(&str, &str); 5] = [
    ("addresses", r#"addresses = ["10.1.0.11"]"#),
    ("management", r#"management = ["10.0.0.11"]"#),
    ("key", r#"key = "lh1:…""#),
    ("cluster", r#"cluster = "bakery""#),
    ("groups", r#"groups = ["db"]"#),
];

/// What the names in rules mean.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    serial: Option<u64>,
    facility: AddressRanges,
    nodes: BTreeMap<Name, Node>,
}

/// A node's entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// Its realms' addresses, IPv4 as v4-mapped: what `node:x` in a rule means.
    pub addresses: Vec<u128>,
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
                "facility" => facility(entry).map(|facility| directory.facility = facility),
                "node" => entry.table().map(|nodes| directory.read_nodes(&document, nodes, &mut problems)),
                other => {
                    let problem =
                        Problem::new(entry.line, format!("a directory file has no key {}", quoted(other)));
                    Err(problem.nearest(other, KEYS.map(|(key, _)| key)))
                }
            };
            problems.extend(read.err().map(|problem| problem.example(entry.key, &KEYS)));
        }
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
            let node = entry.table().map(|table| Node::read(document, table, problems));
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
    fn read<'t>(document: &Document<'t>, table: &DeTable<'t>, problems: &mut Vec<Problem>) -> Self {
        let mut node = Self::default();
        for entry in document.entries(table) {
            let read = match entry.key {
                "addresses" => address_list(&entry).map(|addresses| node.addresses = addresses),
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
        node
    }
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

fn facility(entry: &Entry<'_, '_>) -> Result<AddressRanges, Problem> {
    let mut facility = Vec::new();
    for text in entry.strings()? {
        let mut ranges = addresses::parse(text).map_err(|(error, hint)| {
            let problem = entry.problem(error);
            match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        })?;
        facility.append(&mut ranges);
    }
    Ok(addresses::normalise(facility))
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
