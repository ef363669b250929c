//! From nothing to an address: INIT, SELECTING, REQUESTING, REBOOTING, PROBING.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::lease::usable;
use super::{Command, Lease, State, Turn};
use crate::mac::Mac;
use crate::message::{Kind, Message};

/// How long offers of other addresses than the expected one wait.
const CHOOSE_WITHIN: Duration = Duration::from_secs(2);
/// Requests that are sent before the offer is given up.
const REQUESTS_MAX: u32 = 4;
/// Requests for a remembered address before the search begins anew.
const REBOOTS_MAX: u32 = 2;
/// ARP probes, and how long each has for an answer: fewer and faster than RFC 5227, which is for addresses
/// that nobody administers.
const PROBES: u8 = 3;
const PROBE_WAIT: Duration = Duration::from_millis(250);
/// The pause after an address that was in use (RFC 2131 §3.1, 5.).
const DECLINE_PAUSE: Duration = Duration::from_secs(10);

/// Waiting to begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Init {
    pub(super) at: Duration,
    /// How often a server refused what another, or it itself, had offered.
    pub(super) refusals: u32,
}

/// An exchange under way: its number, when it began, how often and when next the message is sent.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    xid: u32,
    began: Duration,
    sent: u32,
    again_at: Duration,
}

impl Exchange {
    const fn new(xid: u32, now: Duration) -> Self {
        Self { xid, began: now, sent: 0, again_at: now }
    }

    /// Counts a message that is sent now: 4, 8, 16, 32, then 64 seconds until the next, each a second more or
    /// less (RFC 2131 §4.1).
    fn send(&mut self, turn: &Turn<'_>) -> u16 {
        let pause = Duration::from_secs(4 << self.sent.min(4));
        let off = turn.jitter() * 2;
        self.again_at = (turn.now + pause + off).saturating_sub(Duration::from_secs(1));
        self.sent += 1;
        u16::try_from(turn.now.saturating_sub(self.began).as_secs()).unwrap_or(u16::MAX)
    }

    const fn is_of(&self, message: &Message) -> bool {
        message.xid == self.xid
    }
}

#[derive(Debug, Clone, Copy)]
struct Offer {
    address: Ipv4Addr,
    server: Ipv4Addr,
}

/// Looking for servers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selecting {
    exchange: Exchange,
    refusals: u32,
    /// An offer of another address than the expected one, and until when it waits.
    second_best: Option<(Offer, Duration)>,
}

impl Selecting {
    pub(super) fn wake_at(&self) -> Duration {
        self.second_best.map_or(self.exchange.again_at, |(_, until)| until.min(self.exchange.again_at))
    }
}

/// An offer was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Requesting {
    exchange: Exchange,
    refusals: u32,
    offer: Offer,
}

impl Requesting {
    pub(super) const fn again_at(&self) -> Duration {
        self.exchange.again_at
    }
}

/// Asking for the address that it had before.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rebooting {
    exchange: Exchange,
    address: Ipv4Addr,
}

impl Rebooting {
    pub(super) const fn new(address: Ipv4Addr, now: Duration) -> Self {
        Self { exchange: Exchange::new(0, now), address }
    }

    pub(super) const fn again_at(&self) -> Duration {
        self.exchange.again_at
    }
}

/// The address is given; is it in use?
#[derive(Debug, Clone, Copy)]
pub(super) struct Probing {
    pub(super) lease: Lease,
    sent: u8,
    pub(super) next_at: Duration,
}

impl Turn<'_> {
    pub(super) fn discover(&mut self, init: Init) -> State {
        let exchange = Exchange::new(self.xid(), self.now);
        self.keep_selecting(Selecting { exchange, refusals: init.refusals, second_best: None })
    }

    pub(super) fn keep_selecting(&mut self, mut selecting: Selecting) -> State {
        if let Some((offer, until)) = selecting.second_best
            && until <= self.now
        {
            return self.request(offer, selecting);
        }
        if selecting.exchange.again_at <= self.now {
            let secs = selecting.exchange.send(self);
            let mut message = self.message(Kind::Discover, selecting.exchange.xid);
            (message.secs, message.requested) = (secs, self.settings.expected);
            self.broadcast(message);
        }
        State::Selecting(selecting)
    }

    pub(super) fn offered(&mut self, mut selecting: Selecting, message: &Message) -> State {
        let offer = match (usable(message.yiaddr), message.server.and_then(usable)) {
            (Some(address), Some(server)) => Offer { address, server },
            (None, _) | (_, None) => return State::Selecting(selecting),
        };
        if message.kind != Kind::Offer || !selecting.exchange.is_of(message) {
            return State::Selecting(selecting);
        }
        if self.settings.expected.is_none_or(|expected| expected == offer.address) {
            return self.request(offer, selecting);
        }
        selecting.second_best.get_or_insert((offer, self.now + CHOOSE_WITHIN));
        State::Selecting(selecting)
    }

    /// Takes an offer, in the same exchange (RFC 2131 §4.3.2): its number stays, its time begins anew.
    fn request(&mut self, offer: Offer, selecting: Selecting) -> State {
        let exchange = Exchange::new(selecting.exchange.xid, self.now);
        self.keep_requesting(Requesting { exchange, refusals: selecting.refusals, offer })
    }

    pub(super) fn keep_requesting(&mut self, mut requesting: Requesting) -> State {
        if requesting.exchange.again_at > self.now {
            return State::Requesting(requesting);
        }
        if requesting.exchange.sent == REQUESTS_MAX {
            return self.discover(Init { at: self.now, refusals: requesting.refusals });
        }
        let secs = requesting.exchange.send(self);
        let mut message = self.message(Kind::Request, requesting.exchange.xid);
        message.secs = secs;
        message.requested = Some(requesting.offer.address);
        message.server = Some(requesting.offer.server);
        self.broadcast(message);
        State::Requesting(requesting)
    }

    pub(super) fn answered(&mut self, requesting: Requesting, message: &Message, from: Mac) -> State {
        let chosen = message.server == Some(requesting.offer.server);
        if !chosen || !requesting.exchange.is_of(message) {
            return State::Requesting(requesting);
        }
        match (message.kind, Lease::of(message, from, requesting.exchange.began)) {
            (Kind::Nak, _) => self.refused(requesting.refusals),
            (Kind::Ack, Some(lease)) => self.probe(lease),
            _ => State::Requesting(requesting),
        }
    }

    pub(super) fn keep_rebooting(&mut self, mut rebooting: Rebooting) -> State {
        if rebooting.exchange.again_at > self.now {
            return State::Rebooting(rebooting);
        }
        if rebooting.exchange.sent == 0 {
            rebooting.exchange.xid = self.xid();
        }
        if rebooting.exchange.sent == REBOOTS_MAX {
            return self.discover(Init { at: self.now, refusals: 0 });
        }
        let secs = rebooting.exchange.send(self);
        let mut message = self.message(Kind::Request, rebooting.exchange.xid);
        (message.secs, message.requested) = (secs, Some(rebooting.address));
        self.broadcast(message);
        State::Rebooting(rebooting)
    }

    pub(super) fn rebooted(&mut self, rebooting: Rebooting, message: &Message, from: Mac) -> State {
        if rebooting.exchange.sent == 0 || !rebooting.exchange.is_of(message) {
            return State::Rebooting(rebooting);
        }
        match (message.kind, Lease::of(message, from, rebooting.exchange.began)) {
            (Kind::Nak, _) => self.refused(0),
            (Kind::Ack, Some(lease)) if lease.address == rebooting.address => self.probe(lease),
            _ => State::Rebooting(rebooting),
        }
    }

    /// A server said no. The first time the search begins at once; then it is given time.
    pub(super) fn refused(&mut self, refusals: u32) -> State {
        let pause = match refusals {
            0 => self.jitter(),
            some => Duration::from_secs(1 << some.min(6)) + self.jitter(),
        };
        State::Init(Init { at: self.now + pause, refusals: refusals + 1 })
    }

    fn probe(&mut self, lease: Lease) -> State {
        self.keep_probing(Probing { lease, sent: 0, next_at: self.now })
    }

    pub(super) fn keep_probing(&mut self, mut probing: Probing) -> State {
        if probing.next_at > self.now {
            return State::Probing(probing);
        }
        if probing.sent == PROBES {
            self.out.push(Command::Bound(probing.lease));
            return State::Bound(probing.lease);
        }
        self.out.push(Command::Probe(probing.lease.address));
        probing.sent += 1;
        probing.next_at = self.now + PROBE_WAIT;
        State::Probing(probing)
    }

    /// Says that the address is in use (RFC 2131 §4.4.4), and begins anew later.
    pub(super) fn decline(&mut self, lease: &Lease) -> State {
        let mut message = self.message(Kind::Decline, self.xid());
        (message.requested, message.server) = (Some(lease.address), Some(lease.server));
        self.broadcast(message);
        self.out.push(Command::InUse(lease.address));
        State::Init(Init { at: self.now + DECLINE_PAUSE + self.jitter(), refusals: 0 })
    }
}
