//! The same policy for nftables: its fastest form, an interval set of addresses for each tier.

use std::io::Write;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use os::namespace::Namespace;

use crate::Outcome;
use crate::policy::prefix;

/// Puts the policy in force in the router. With `trusts`, a packet of a flow that conntrack knows is not asked
/// about: cheaper, and a flow that was revoked goes on.
pub(crate) fn apply(router: &Namespace, prefixes: u32, trusts: bool) -> Outcome<()> {
    let elements: Vec<String> =
        (0..prefixes).map(|number| format!("{}/24", Ipv4Addr::from(prefix(number)))).collect();
    let elements = elements.join(", ");
    let admits = "meta l4proto { tcp, udp } th dport { 53, 5000-6000 } counter";
    let trusted = if trusts { "ct state established accept" } else { "" };
    let rules = format!(
        "table ip realm {{
            set upper {{ type ipv4_addr; flags interval; elements = {{ {elements} }} }}
            set lower {{ type ipv4_addr; flags interval; elements = {{ {elements} }} }}
            chain forward {{
                type filter hook forward priority 0; policy drop;
                {trusted}
                iifname \"outside\" ct state established counter accept
                iifname \"realm\" ip daddr @upper {admits} jump second
            }}
            chain second {{ ip daddr @lower {admits} accept; }}
        }}"
    );
    router.run(|| -> Outcome<()> {
        let mut nft =
            Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().map_err(|error| {
                format!("cannot run nft ({error}); install it: apt-get install -y nftables")
            })?;
        nft.stdin.take().ok_or("nft has no stdin")?.write_all(rules.as_bytes())?;
        if nft.wait()?.success() { Ok(()) } else { Err("nft refuses the policy".into()) }
    })?
}
