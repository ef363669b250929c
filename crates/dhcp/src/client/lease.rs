//! What a server gave.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::mac::Mac;
use crate::message::Message;

/// An address for some time. The times are the client's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// The length of its network's prefix, 1 to 32.
    pub prefix: u8,
    /// The network's router.
    pub router: Option<Ipv4Addr>,
    /// Who gave it.
    pub server: Ipv4Addr,
    /// The station that its answer came from.
    pub server_mac: Mac,
    /// T1.
    pub renew_at: Duration,
    /// T2.
    pub rebind_at: Duration,
    /// When it ends. The address must not be used from then on.
    pub until: Duration,
}

impl Lease {
    /// What an ACK gives, to a request that was first sent at `since`; nothing, when it leaves out what a
    /// client needs. The time counts from the request, so that the client's lease never outlasts the server's.
    pub(super) fn of(message: &Message, from: Mac, since: Duration) -> Option<Self> {
        let lease_s = message.lease_s.filter(|&seconds| seconds > 0)?;
        let whole = Duration::from_secs(lease_s.into());
        let said = |seconds: Option<u32>| seconds.map(|seconds| Duration::from_secs(seconds.into()));
        // Times that are not in order are as good as none (RFC 2131 §4.4.5).
        let rebind = said(message.rebinding_s).filter(|&at| at < whole).unwrap_or(whole * 7 / 8);
        let renew = said(message.renewal_s).filter(|&at| at < rebind).unwrap_or(whole / 2).min(rebind);
        Some(Self {
            address: usable(message.yiaddr)?,
            prefix: message.prefix.filter(|&prefix| prefix > 0)?,
            router: message.router,
            server: message.server.and_then(usable)?,
            server_mac: from,
            renew_at: since + renew,
            rebind_at: since + rebind,
            until: since + whole,
        })
    }
}

/// An address that a machine can have.
pub(super) fn usable(address: Ipv4Addr) -> Option<Ipv4Addr> {
    let not = address.is_unspecified()
        || address.is_broadcast()
        || address.is_multicast()
        || address.is_loopback()
        || address.octets()[0] == 0;
    (!not).then_some(address)
}
