//! Packets as JSON, and files with one on each line (FORMATS, "A packet").

use std::net::IpAddr;

use packet_set::{Direction, Form, Packet, PortUse, address_number, port_use};
use serde::{Deserialize, Deserializer, Serialize};

use crate::problem::{Problem, Problems, quoted};
use crate::rule::protocol_name;

/// A packet as FORMATS writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PacketJson {
    /// `in` or `out`.
    direction: Way,
    /// The IP protocol number.
    protocol: u8,
    /// The remote address.
    remote: IpAddr,
    /// With TCP, UDP, SCTP.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    remote_port: Option<u16>,
    /// With TCP, UDP, SCTP.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    /// With ICMP, ICMPv6.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    icmp_type: Option<u8>,
    /// With ICMP, ICMPv6.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    icmp_code: Option<u8>,
    /// Whether it must have no reply.
    #[serde(default)]
    one_way: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "String")]
enum Way {
    In,
    Out,
}

/// A text only: the derived reading takes `{"in": null}` too.
impl TryFrom<String> for Way {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "in" => Ok(Self::In),
            "out" => Ok(Self::Out),
            other => Err(format!("`direction` is `in` or `out`, not {}", quoted(other))),
        }
    }
}

/// A field that is there has a value: `null` is none.
fn given<'de, D, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(from).map(Some)
}

impl From<&Packet> for PacketJson {
    fn from(packet: &Packet) -> Self {
        let ports = port_use(packet.protocol);
        let [kind, code] = packet.local_port.to_be_bytes();
        Self {
            direction: match packet.direction {
                Direction::In => Way::In,
                Direction::Out => Way::Out,
            },
            protocol: packet.protocol,
            remote: packet.remote_address(),
            remote_port: (ports == PortUse::Ports).then_some(packet.remote_port),
            local_port: (ports == PortUse::Ports).then_some(packet.local_port),
            icmp_type: (ports == PortUse::TypeAndCode).then_some(kind),
            icmp_code: (ports == PortUse::TypeAndCode).then_some(code),
            one_way: packet.form == Form::OneWay,
        }
    }
}

impl TryFrom<PacketJson> for Packet {
    type Error = String;

    fn try_from(json: PacketJson) -> Result<Self, String> {
        let ports = port_use(json.protocol);
        let fields = [
            ("remote_port", json.remote_port.is_some(), PortUse::Ports),
            ("local_port", json.local_port.is_some(), PortUse::Ports),
            ("icmp_type", json.icmp_type.is_some(), PortUse::TypeAndCode),
            ("icmp_code", json.icmp_code.is_some(), PortUse::TypeAndCode),
        ];
        for (field, given, with) in fields {
            match (given, with == ports) {
                (true, false) => return Err(format!("protocol {} has no `{field}`", json.protocol)),
                (false, true) => return Err(format!("protocol {} needs `{field}`", json.protocol)),
                (true, true) | (false, false) => {}
            }
        }
        let type_and_code = u16::from_be_bytes([json.icmp_type.unwrap_or(0), json.icmp_code.unwrap_or(0)]);
        Ok(Self {
            form: if json.one_way { Form::OneWay } else { Form::Flow },
            direction: match json.direction {
                Way::In => Direction::In,
                Way::Out => Direction::Out,
            },
            protocol: json.protocol,
            remote: address_number(json.remote),
            remote_port: json.remote_port.unwrap_or(0),
            local_port: json.local_port.unwrap_or(type_and_code),
        })
    }
}

const SHAPE: &str = r#"a packet is {"direction": "in", "protocol": 6, "remote": "10.1.0.7", "remote_port": 40000, "local_port": 443}"#;

/// Reads packets, one a line; empty lines are passed over.
///
/// # Errors
/// Every fault, with its line.
pub fn parse_packets(bytes: &[u8]) -> Result<Vec<Packet>, Problems> {
    let mut packets = Vec::new();
    let mut problems = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        match parse_packet(line) {
            Ok(packet) => packets.push(packet),
            Err(error) => problems.push(Problem::new(number + 1, error).hint(SHAPE)),
        }
        if problems.len() >= Problems::SHOWN_MAX {
            break;
        }
    }
    match Problems::of(problems) {
        None => Ok(packets),
        Some(problems) => Err(problems),
    }
}

fn parse_packet(line: &[u8]) -> Result<Packet, String> {
    let text = std::str::from_utf8(line).map_err(|_invalid| "this is no UTF-8 text".to_owned())?;
    // An array of the fields' values would be read as well.
    if !text.trim_ascii_start().starts_with('{') {
        return Err("this is no JSON object".to_owned());
    }
    let json: PacketJson = serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // It counts lines from this one.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        if message.chars().any(char::is_control) {
            quoted(message)
        } else {
            message.chars().take(200).collect()
        }
    })?;
    Packet::try_from(json)
}

/// A packet for people: `tcp from 203.0.113.7 port 40000 to local port 443`.
#[must_use]
pub fn in_words(packet: &Packet) -> String {
    let protocol = protocol_name(packet.protocol);
    let remote = packet.remote_address();
    let one_way = if packet.form == Form::OneWay { ", one way" } else { "" };
    let [kind, code] = packet.local_port.to_be_bytes();
    let way = match (packet.direction, port_use(packet.protocol)) {
        (Direction::In, PortUse::Ports) => {
            format!("from {remote} port {} to local port {}", packet.remote_port, packet.local_port)
        }
        (Direction::Out, PortUse::Ports) => {
            format!("from local port {} to {remote} port {}", packet.local_port, packet.remote_port)
        }
        (Direction::In, PortUse::TypeAndCode) => format!("type {kind} code {code} from {remote}"),
        (Direction::Out, PortUse::TypeAndCode) => format!("type {kind} code {code} to {remote}"),
        (Direction::In, PortUse::Unused) => format!("from {remote}"),
        (Direction::Out, PortUse::Unused) => format!("to {remote}"),
    };
    let kind = if protocol.starts_with(|c: char| c.is_ascii_digit()) { "protocol " } else { "" };
    format!("{kind}{protocol} {way}{one_way}")
}
