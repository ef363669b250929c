//! One rule as it is written: the keys, their values, and which go together.

use std::collections::BTreeMap;

use id::{KeyId, Name};
use packet_set::{ICMP, ICMPV6, PortUse, SCTP, TCP, UDP, port_use};
use toml::de::{DeTable, DeValue};

use crate::addresses::{self, AddressRanges};
use crate::document::{Document, Entry, shown, unsigned};
use crate::problem::{Problem, quoted};

/// Each with an example of its use, for hints.
const KEYS: [(&str, &str); 8] = [
    ("name", r#"name = "web""#),
    ("direction", r#"direction = "in""#),
    ("protocol", r#"protocol = "tcp""#),
    ("remote", r#"remote = ["internet", "10.1.0.0/16", "10.0.0.5-10.0.0.9", "2001:db8::/32", "node:web-1"]"#),
    ("remote_port", r#"remote_port = ["1024-65535"]"#),
    ("local_port", r#"local_port = [443, "8000-8099"]"#),
    ("icmp_type", r#"icmp_type = [8, "3/4"]"#),
    ("one_way", "one_way = true"),
];
const DIRECTIONS: [&str; 3] = ["in", "out", "both"];
const REMOTE_WORDS: [&str; 6] = ["any", "internet", "cluster:", "node:", "group:", "key:"];
/// The names of protocols; a number equals its name.
pub(crate) const PROTOCOLS: [(&str, u8); 5] =
    [("tcp", TCP), ("udp", UDP), ("sctp", SCTP), ("icmp", ICMP), ("icmpv6", ICMPV6)];
const NAME_CHARACTERS_MAX: usize = 64;

/// A rule; a key that is left out means "any".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The line of its header.
    pub line: usize,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The line of `name`; without one, of the header.
    pub name_line: usize,
    /// Matches flows that the remote starts.
    pub inbound: bool,
    /// Matches flows that the realm starts.
    pub outbound: bool,
    /// None: any.
    pub protocol: Option<u8>,
    /// Any of them; none at all for a key left out.
    pub remote: Vec<Remote>,
    /// The line of `remote`.
    pub remote_line: usize,
    /// Inclusive.
    pub remote_port: Vec<(u16, u16)>,
    /// Inclusive; for ICMP type * 256 + code.
    pub local_port: Vec<(u16, u16)>,
    /// Only the one-way packet.
    pub one_way: bool,
}

/// A value of `remote`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remote {
    /// Every address.
    Any,
    /// Everything outside the facility and the special ranges.
    Internet,
    /// Addresses by number.
    Addresses(AddressRanges),
    /// The nodes of a cluster.
    Cluster(Name),
    /// One node.
    Node(Name),
    /// The nodes of a group.
    Group(Name),
    /// The node with this key.
    Key(KeyId),
}

impl Rule {
    /// Reads a rule's table; every fault goes to `problems`, and stands for "any" in the rule.
    pub(crate) fn read<'t>(
        document: &Document<'t>,
        line: usize,
        table: &DeTable<'t>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let mut entries: BTreeMap<&str, Entry<'_, '_>> = BTreeMap::new();
        for entry in document.entries(table) {
            if KEYS.iter().any(|(key, _)| *key == entry.key) {
                entries.insert(entry.key, entry);
            } else {
                let problem = Problem::new(entry.line, format!("a rule has no key {}", quoted(entry.key)));
                problems.push(problem.nearest(entry.key, KEYS.map(|(key, _)| key)));
            }
        }
        let mut reader = Reader { entries, problems };
        let (inbound, outbound) = reader.read("direction", direction).unwrap_or((true, true));
        let protocol = reader.read("protocol", protocol);
        let ports = reader.entries.get("remote_port").or(reader.entries.get("local_port")).copied();
        let (ports_first, types_first) = (ports, reader.entries.get("icmp_type").copied());
        let mut local_port = reader.read("local_port", port_list);
        local_port = reader.read("icmp_type", type_list).or(local_port);
        let rule = Self {
            line,
            name: reader.read("name", name),
            name_line: reader.line("name", line),
            inbound,
            outbound,
            protocol: protocol.flatten(),
            remote_line: reader.line("remote", line),
            remote: reader.read("remote", remote_list).unwrap_or_else(|| vec![Remote::Any]),
            remote_port: reader.read("remote_port", port_list).unwrap_or_else(|| vec![(0, u16::MAX)]),
            local_port: local_port.unwrap_or_else(|| vec![(0, u16::MAX)]),
            one_way: reader.read("one_way", |entry| entry.boolean()).unwrap_or(false),
        };
        // A protocol that could not be read has had its message.
        if protocol.is_some() || !reader.entries.contains_key("protocol") {
            reader.check_port_use(rule.protocol, PortUse::Ports, ports_first, "tcp, udp, sctp");
            reader.check_port_use(rule.protocol, PortUse::TypeAndCode, types_first, "icmp, icmpv6");
        }
        rule
    }
}

/// A rule's entries, and where faults go.
struct Reader<'d, 't, 'p> {
    entries: BTreeMap<&'d str, Entry<'d, 't>>,
    problems: &'p mut Vec<Problem>,
}

impl<'d, 't> Reader<'d, 't, '_> {
    fn read<T>(&mut self, key: &str, read: impl FnOnce(&Entry<'d, 't>) -> Result<T, Problem>) -> Option<T> {
        match read(self.entries.get(key)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(problem.example(key, &KEYS));
                None
            }
        }
    }

    fn line(&self, key: &str, header: usize) -> usize {
        self.entries.get(key).map_or(header, |entry| entry.line)
    }

    fn check_port_use(
        &mut self,
        protocol: Option<u8>,
        wanted: PortUse,
        entry: Option<Entry<'_, '_>>,
        with: &str,
    ) {
        let Some(entry) = entry else { return };
        if protocol.is_none_or(|number| port_use(number) != wanted) {
            let has = protocol.map_or_else(
                || "any protocol".to_owned(),
                |number| format!("protocol {}", protocol_name(number)),
            );
            let problem = entry.problem(format!("goes only with {with}, not with {has}"));
            self.problems.push(problem.hint(format!("give the rule a `protocol`: one of {with}")));
        }
    }
}

/// A protocol's name, or its number.
pub(crate) fn protocol_name(number: u8) -> String {
    PROTOCOLS
        .iter()
        .find(|(_, known)| *known == number)
        .map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

fn name(entry: &Entry<'_, '_>) -> Result<String, Problem> {
    let name = entry.string()?;
    let length = name.chars().count();
    if name.trim().is_empty() || length > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        let wanted =
            format!("1 to {NAME_CHARACTERS_MAX} printable characters are wanted, not {}", quoted(name));
        return Err(entry.problem(wanted));
    }
    Ok(name.to_owned())
}

fn direction(entry: &Entry<'_, '_>) -> Result<(bool, bool), Problem> {
    match entry.string()? {
        "in" => Ok((true, false)),
        "out" => Ok((false, true)),
        "both" => Ok((true, true)),
        other => Err(entry.problem(format!("{} is unknown", quoted(other))).nearest(other, DIRECTIONS)),
    }
}

fn protocol(entry: &Entry<'_, '_>) -> Result<Option<u8>, Problem> {
    match entry.value.get_ref() {
        DeValue::Integer(number) => {
            unsigned(number).and_then(|number| u8::try_from(number).ok()).map(Some).ok_or_else(|| {
                entry.problem(format!("a protocol number is 0 to 255, not {}", shown(entry.value.get_ref())))
            })
        }
        DeValue::String(text) if text == "any" => Ok(None),
        value @ DeValue::String(text) => {
            if let Some((_, number)) = PROTOCOLS.iter().find(|(name, _)| name == text) {
                return Ok(Some(*number));
            }
            let problem = entry.problem(format!("{} is no protocol", quoted(text))).hint_at_quotes(value);
            let names = PROTOCOLS.iter().map(|(name, _)| *name).chain(["any"]);
            Err(if problem.hint.is_some() { problem } else { problem.nearest(text, names) })
        }
        other @ (DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_)) => {
            Err(entry.problem(format!("a name or a number from 0 to 255 is wanted, not {}", shown(other))))
        }
    }
}

fn not_empty<'d, 't>(entry: &Entry<'d, 't>) -> Result<Vec<&'d DeValue<'t>>, Problem> {
    let values = entry.list();
    if values.is_empty() {
        return Err(entry.problem("the list is empty").hint("leave the key out for \"any\""));
    }
    Ok(values)
}

fn port_list(entry: &Entry<'_, '_>) -> Result<Vec<(u16, u16)>, Problem> {
    not_empty(entry)?.into_iter().map(|value| port_range(entry, value)).collect()
}

fn port_range(entry: &Entry<'_, '_>, value: &DeValue<'_>) -> Result<(u16, u16), Problem> {
    let wrong = || {
        let wanted = "a port from 0 to 65535 or a range as \"8000-8099\" is wanted";
        entry.problem(format!("{wanted}, not {}", shown(value))).hint_at_quotes(value)
    };
    match value {
        DeValue::Integer(number) => {
            let port = unsigned(number).and_then(|number| u16::try_from(number).ok()).ok_or_else(wrong)?;
            Ok((port, port))
        }
        DeValue::String(text) => {
            let (first, last) = text.split_once('-').ok_or_else(wrong)?;
            let first: u16 = decimal(first).ok_or_else(wrong)?;
            let last: u16 = decimal(last).ok_or_else(wrong)?;
            if first > last {
                let problem = entry.problem(format!("the range {} is reversed", quoted(text)));
                return Err(problem.hint(format!("write \"{last}-{first}\"")));
            }
            Ok((first, last))
        }
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err(wrong()),
    }
}

fn type_list(entry: &Entry<'_, '_>) -> Result<Vec<(u16, u16)>, Problem> {
    not_empty(entry)?.into_iter().map(|value| type_range(entry, value)).collect()
}

fn type_range(entry: &Entry<'_, '_>, value: &DeValue<'_>) -> Result<(u16, u16), Problem> {
    let wrong = || {
        let wanted = "an ICMP type from 0 to 255 or type and code as \"3/4\" is wanted";
        entry.problem(format!("{wanted}, not {}", shown(value))).hint_at_quotes(value)
    };
    match value {
        DeValue::Integer(number) => {
            let kind = unsigned(number).and_then(|number| u8::try_from(number).ok()).ok_or_else(wrong)?;
            Ok((u16::from_be_bytes([kind, 0]), u16::from_be_bytes([kind, u8::MAX])))
        }
        DeValue::String(text) => {
            let (kind, code) = text.split_once('/').ok_or_else(wrong)?;
            let kind: u8 = decimal(kind).ok_or_else(wrong)?;
            let both = u16::from_be_bytes([kind, decimal(code).ok_or_else(wrong)?]);
            Ok((both, both))
        }
        DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => Err(wrong()),
    }
}

/// Digits only: `parse` alone takes `+5` too.
fn decimal<N: std::str::FromStr>(text: &str) -> Option<N> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn remote_list(entry: &Entry<'_, '_>) -> Result<Vec<Remote>, Problem> {
    not_empty(entry)?;
    entry.strings()?.into_iter().map(|text| remote(entry, text)).collect()
}

fn remote(entry: &Entry<'_, '_>, text: &str) -> Result<Remote, Problem> {
    match text {
        "any" => return Ok(Remote::Any),
        "internet" => return Ok(Remote::Internet),
        _ => {}
    }
    let named = |name: &str| name.parse::<Name>().map_err(|malformed| entry.problem(malformed));
    match text.split_once(':') {
        Some(("cluster", name)) => return named(name).map(Remote::Cluster),
        Some(("node", name)) => return named(name).map(Remote::Node),
        Some(("group", name)) => return named(name).map(Remote::Group),
        Some(("key", key)) => {
            return key.parse().map(Remote::Key).map_err(|malformed| entry.problem(malformed));
        }
        _ => {}
    }
    if looks_like_an_address(text) {
        return addresses::parse(text).map(Remote::Addresses).map_err(|(error, hint)| {
            let problem = entry.problem(error);
            match hint {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        });
    }
    let word = text.split_inclusive(':').next().unwrap_or(text);
    Err(entry.problem(format!("{} is unknown", quoted(text))).nearest(word, REMOTE_WORDS))
}

/// Digits, hexadecimal digits and marks only, with a mark or digit among them.
fn looks_like_an_address(text: &str) -> bool {
    let marks = |c: char| matches!(c, '.' | ':' | '/' | '-');
    text.chars().all(|c| c.is_ascii_hexdigit() || marks(c))
        && text.chars().any(|c| c.is_ascii_digit() || marks(c))
}
