//! Regions written with the keys of a rule: in a refusal's box and in the files that `narrow` writes.

use std::fmt;

use packet_set::{Field, PortUse, Ranges, Region, port_use};
use serde::Serialize;

use crate::addresses;
use crate::rule::PROTOCOLS;

/// A region with the keys of a rule. A key that is left out means "any".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Keys {
    /// `in` or `out`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    /// One protocol, or a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Values>,
    /// Addresses, prefixes and ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<Values>,
    /// Ports and ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_port: Option<Values>,
    /// Ports and ranges.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_port: Option<Values>,
    /// Types, and single codes as `3/4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub icmp_type: Option<Values>,
    /// In a box: true one-way, false flow only, left out both. In a rule: true or left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_way: Option<bool>,
}

/// A value of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// One, without a list.
    One(Value),
    /// Several.
    List(Vec<Value>),
}

/// A number, or a text such as a range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// As it is.
    Number(u16),
    /// In quotes.
    Text(String),
}

impl Keys {
    /// A box, as in `witness.box` of FORMATS: the form stands in `one_way`.
    #[must_use]
    pub fn of_box(region: &Region) -> Self {
        let one_way = match region.form.as_slice() {
            [(0, 0)] => Some(false),
            [(1, 1)] => Some(true),
            _ => None,
        };
        Self { one_way, ..Self::without_form(region) }
    }

    /// A rule that matches the region's packets; the region has both forms or the one-way one.
    pub(crate) fn of_rule(region: &Region) -> Self {
        let one_way = (!region.form.contains(0)).then_some(true);
        Self { one_way, ..Self::without_form(region) }
    }

    fn without_form(region: &Region) -> Self {
        let direction = match region.direction.as_slice() {
            [(0, 0)] => Some("in"),
            [(1, 1)] => Some("out"),
            _ => None,
        };
        let uses = |wanted| {
            let first = region.protocol.as_slice().first().and_then(|(first, _)| u8::try_from(*first).ok());
            !region.protocol.is_all(Field::Protocol) && first.is_some_and(|number| port_use(number) == wanted)
        };
        let ports = |field| {
            let ranges = region.values(field);
            (uses(PortUse::Ports) && !ranges.is_all(field)).then(|| Values::List(numbers(ranges)))
        };
        let types = uses(PortUse::TypeAndCode) && !region.local_port.is_all(Field::LocalPort);
        Self {
            direction,
            protocol: (!region.protocol.is_all(Field::Protocol)).then(|| protocols(&region.protocol)),
            remote: addresses::written(region.remote.as_slice())
                .map(|texts| Values::List(texts.into_iter().map(Value::Text).collect())),
            remote_port: ports(Field::RemotePort),
            local_port: ports(Field::LocalPort),
            icmp_type: types.then(|| Values::List(types_and_codes(&region.local_port))),
            one_way: None,
        }
    }

    /// Every key that is there, with its value as TOML.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let values = [
            ("direction", self.direction.map(|text| format!("{text:?}"))),
            ("protocol", self.protocol.as_ref().map(Values::to_string)),
            ("remote", self.remote.as_ref().map(Values::to_string)),
            ("remote_port", self.remote_port.as_ref().map(Values::to_string)),
            ("local_port", self.local_port.as_ref().map(Values::to_string)),
            ("icmp_type", self.icmp_type.as_ref().map(Values::to_string)),
            ("one_way", self.one_way.map(|truth| truth.to_string())),
        ];
        values.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
    }
}

/// For people: `direction = "in", local_port = [22]`, or `any packet`.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> =
            self.lines().into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
        f.write_str(if lines.is_empty() { "any packet" } else { "" })?;
        f.write_str(&lines.join(", "))
    }
}

/// As TOML.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => value.fmt(f),
            Self::List(values) => {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                write!(f, "[{}]", values.join(", "))
            }
        }
    }
}

/// As TOML; no text of this file has a character that a TOML string escapes.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => write!(f, "\"{text}\""),
        }
    }
}

fn small(number: u128) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// Numbers alone, and `first-last`.
fn numbers(ranges: &Ranges) -> Vec<Value> {
    let value = |(first, last): &(u128, u128)| {
        if first == last { Value::Number(small(*first)) } else { Value::Text(format!("{first}-{last}")) }
    };
    ranges.as_slice().iter().map(value).collect()
}

fn protocols(ranges: &Ranges) -> Values {
    let named = |value| match value {
        Value::Number(number) => PROTOCOLS
            .iter()
            .find(|(_, known)| u16::from(*known) == number)
            .map_or(value, |(name, _)| Value::Text((*name).to_owned())),
        Value::Text(_) => value,
    };
    let mut values: Vec<Value> = numbers(ranges).into_iter().map(named).collect();
    if values.len() == 1 && matches!(ranges.as_slice(), [(first, last)] if first == last) {
        return Values::One(values.remove(0));
    }
    Values::List(values)
}

/// Whole types as numbers, the codes of others one by one.
fn types_and_codes(ranges: &Ranges) -> Vec<Value> {
    let mut values = Vec::new();
    for (first, last) in ranges.as_slice() {
        let mut at = *first;
        while at <= *last {
            let (kind, code) = (at / 256, at % 256);
            if code == 0 && at + 255 <= *last {
                values.push(Value::Number(small(kind)));
                at += 256;
            } else {
                values.push(Value::Text(format!("{kind}/{code}")));
                at += 1;
            }
        }
    }
    values
}
