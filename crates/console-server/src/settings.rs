//! `console.toml`: the settings of one console.

pub(crate) mod dhcp;
pub(crate) mod power;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use id::Name;
use serde::{Deserialize, Serialize};
use tenure::ControllerKey;
use thiserror::Error;

/// The file's name in the console's folder.
pub(crate) const FILE: &str = "console.toml";

/// The longest one.
pub(crate) const BYTES_MAX: u64 = 256 * 1024;

/// The most addresses that a lease says (docs/orders.md).
const ADDRESSES_MAX: usize = 4;

const UNENCRYPTED_HINT: &str = "answer at 127.0.0.1, behind ssh -L or a proxy with TLS; where the network itself is \
    encrypted, write unencrypted = true (--unencrypted)";

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// The party's name.
    pub(crate) name: Name,
    /// Where nodes dial.
    pub(crate) listen: SocketAddr,
    /// What enrolments and leases say of that, where it is something else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) addresses: Vec<SocketAddr>,
    /// Where people's requests are answered, beside the socket in the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<SocketAddr>,
    /// Answer there off the loopback, too, though whoever is on the way reads tokens and answers.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) unencrypted: bool,
    /// A further socket, which everybody on this machine may open: the kernel says who it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) socket: Option<PathBuf>,
    /// The addresses from which realms get theirs: `"10.1.0.10-10.1.255.254"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) realms: Option<Range>,
    /// Further controller keys of this party, which the console does not hold: a person's, or one in a safe.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) controller: Vec<ControllerKey>,
    /// The DHCP server, where this console is to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dhcp: Option<dhcp::Settings>,
    /// Who is told of incidents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) receiver: Vec<notify::Receiver>,
    /// How nodes' power is switched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) power: Vec<power::Power>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub(crate) struct Wrong {
    pub(crate) why: String,
    pub(crate) hint: &'static str,
}

impl Wrong {
    fn new(why: impl Into<String>, hint: &'static str) -> Self {
        Self { why: why.into(), hint }
    }
}

/// IPv4 addresses from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Range {
    first: Ipv4Addr,
    last: Ipv4Addr,
}

impl Range {
    pub(crate) const fn first(self) -> Ipv4Addr {
        self.first
    }

    pub(crate) const fn last(self) -> Ipv4Addr {
        self.last
    }

    pub(crate) fn addresses(self) -> impl Iterator<Item = Ipv4Addr> {
        (self.first.to_bits()..=self.last.to_bits()).map(Ipv4Addr::from_bits)
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl From<Range> for String {
    fn from(range: Range) -> Self {
        range.to_string()
    }
}

impl TryFrom<String> for Range {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wanted =
            || format!("first and last address as \"10.1.0.10-10.1.0.250\" are wanted, not {text:?}");
        let (first, last) = text.split_once('-').ok_or_else(wanted)?;
        let (first, last) = first.parse().ok().zip(last.parse().ok()).ok_or_else(wanted)?;
        if first <= last { Ok(Self { first, last }) } else { Err(wanted()) }
    }
}

impl Settings {
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        let settings: Self = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let message = error.message().lines().collect::<Vec<_>>().join(" ");
            Wrong::new(format!("line {line}: {message}"), "`leasehold console init` writes a right one")
        })?;
        let hint = "write one to four: addresses = [\"10.0.0.2:7443\"]";
        if settings.addresses().len() > ADDRESSES_MAX {
            return Err(Wrong::new("more than four `addresses`", hint));
        }
        if settings.addresses().iter().any(|address| address.ip().is_unspecified() || address.port() == 0) {
            return Err(Wrong::new("nodes cannot dial 0.0.0.0, [::] or port 0", hint));
        }
        if let Some(api) = settings.api.filter(|api| !api.ip().is_loopback() && !settings.unencrypted) {
            let why = format!("tokens would be sent to {api} in the clear");
            return Err(Wrong::new(why, UNENCRYPTED_HINT));
        }
        let mut controllers: Vec<_> = settings.controller.iter().map(|controller| controller.key).collect();
        controllers.sort_unstable();
        if let Some(twice) = controllers.windows(2).find(|two| two[0] == two[1]) {
            let why = format!("{} is a [[controller]] twice", twice[0]);
            return Err(Wrong::new(why, "name each key once"));
        }
        if let Some(Err(wrong)) = settings.dhcp.as_ref().map(|dhcp| dhcp.config(settings.realms)) {
            return Err(Wrong::new(wrong, "docs/dhcp.md shows a right one"));
        }
        for (place, receiver) in settings.receiver.iter().enumerate() {
            if settings.receiver[..place].iter().any(|other| other.name == receiver.name) {
                let why = format!("two receivers are called {}", receiver.name);
                return Err(Wrong::new(why, "give each a name of its own"));
            }
            let hint = "docs/incidents.md shows right ones";
            receiver.check().map_err(|wrong| Wrong::new(wrong.to_string(), hint))?;
        }
        for power in &settings.power {
            let hint = "docs/incidents.md shows right ones";
            power.check().map_err(|wrong| Wrong::new(format!("[[power]]: {wrong}"), hint))?;
        }
        Ok(settings)
    }

    /// Where nodes are told to dial.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        if self.addresses.is_empty() { vec![self.listen] } else { self.addresses.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let told = match Settings::parse(text) {
            Ok(settings) => {
                settings.addresses().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
            }
            Err(failed) => failed.to_string(),
        };
        assert!(told.starts_with(expected), "{told}");
    }

    #[test]
    fn settings_say_where_nodes_dial() {
        check("name = \"a\"\nlisten = \"10.0.0.2:7443\"\n", "10.0.0.2:7443");
        check("name = \"a\"\nlisten = \"0.0.0.0:1\"\naddresses = [\"[fd00::1]:2\"]\n", "[fd00::1]:2");
        check("name = \"a\"\nlisten = \"0.0.0.0:1\"\n", "nodes cannot dial");
        check("name = \"a\"\nlisten = \"10.0.0.2:7443\"\nlsiten = 1\n", "line 3: unknown field");
        check("name = \"A\"\nlisten = \"10.0.0.2:7443\"\n", "line 1: ");
        check("", "line 1: missing field");
        let controller =
            "[[controller]]\nkey = \"ed25519:MjRwmYTwcuJE6t0v0OZQ9uCKXb0q1gMY_fpvq3wBMYU\"\nrights = []\n";
        let (once, twice) = (controller.to_owned(), controller.repeat(2));
        check(&format!("name = \"a\"\nlisten = \"10.0.0.2:1\"\n{once}"), "10.0.0.2:1");
        check(&format!("name = \"a\"\nlisten = \"10.0.0.2:1\"\n{twice}"), "ed25519:");
        let api = |api: &str| format!("name = \"a\"\nlisten = \"10.0.0.2:1\"\napi = \"{api}\"\n");
        check(&api("127.0.0.1:7070"), "10.0.0.2:1");
        check(&api("[::1]:7070"), "10.0.0.2:1");
        check(&api("0.0.0.0:7070"), "tokens would be sent to 0.0.0.0:7070 in the clear");
        check(&format!("{}unencrypted = true\n", api("10.0.0.2:7070")), "10.0.0.2:1");
        let pool = |range: &str| format!("name = \"a\"\nlisten = \"10.0.0.2:1\"\nrealms = \"{range}\"\n");
        check(&pool("10.1.0.10-10.1.0.20"), "10.0.0.2:1");
        check(&pool("10.1.0.20-10.1.0.10"), "line 3: first and last");
        check(&pool("10.1.0.0/24"), "line 3: first and last");
    }

    #[test]
    fn hostile_settings_are_none() {
        let head = "name = \"a\"\nlisten = \"10.0.0.2:7443\"\n";
        assert!(Settings::parse(head).is_ok());
        let nested = format!("addresses = {}{}", "[".repeat(2000), "]".repeat(2000));
        let dhcp = |more: &str| format!("[dhcp]\ninterface = \"eth0\"\nserver = \"10.0.0.2\"\n{more}\n");
        let nodes = |addresses: &str, prefix: &str| {
            dhcp(&format!("nodes = {{ addresses = \"{addresses}\", prefix = {prefix} }}"))
        };
        assert!(Settings::parse(&format!("{head}{}", nodes("10.0.0.100-10.0.0.199", "16"))).is_ok());
        for hostile in [
            "listen = \"10.0.0.2:7443\"",
            "unencrypted = 1",
            "api = \"127.0.0.1:65536\"",
            "socket = 7",
            "realms = \"10.1.0.10-10.1.0.20\\u0000\"",
            "realms = \"0-1\"",
            "\0",
            "more = { }",
            &nested,
            &format!("addresses = [{}]", "\"10.0.0.2:1\",".repeat(5)),
            &dhcp(""),
            &dhcp("lease_s = 4294967296"),
            &nodes("10.0.0.100-10.0.0.199", "33"),
            &nodes("10.0.0.100-10.0.0.199", "256"),
            &nodes("10.0.0.100-10.0.0.199", "-1"),
            &nodes("0.0.0.0-255.255.255.255", "0"),
            &nodes("10.0.0.100", "16"),
            "[[power]]\nnodes = [\"n1\"]",
            "[[power]]\ncommand = [7]",
            "[[power]]\nredfish = { url = \"http://u:p@h o\" }",
            "[[receiver]]\nname = \"x\"",
        ] {
            let read = Settings::parse(&format!("{head}{hostile}\n"));
            assert!(read.is_err(), "{}", &hostile[..hostile.len().min(200)]);
        }
    }
}
