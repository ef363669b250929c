//! The client's machine (RFC 2131 §4.4, fig. 5), one for each address that is wanted.
//!
//! ```text
//!             remembered                            no answer to two
//!   start ───────────────▶ REBOOTING ───────────────────────┐
//!     │                        │ ACK            NAK          │
//!     │                        │    ┌────────────────────────┤
//!     ▼   pause is over        │    │                        ▼
//!   INIT ─────────────▶ SELECTING ──── offer ────▶ REQUESTING
//!     ▲  ▲                     ▲   │                   │  │
//!     │  │ DECLINE,            │   └──── no answer ────┘  │ ACK
//!     │  │ ten seconds         │         to four          ▼
//!     │  └──────────────────── in use ◀─────────────── PROBING
//!     │                                                   │ nobody uses it
//!     │ NAK, or the lease is over                         ▼
//!     ├───────────── REBINDING ◀─ T2 ─ RENEWING ◀─ T1 ─ BOUND
//!     │                  └──────── ACK ────┴──────────────▲
//!   release ───▶ RELEASED, from any state
//! ```
//!
//! Where the standard leaves a choice: the first offer of the expected address is taken at once, others when
//! none such has come for two seconds; an address is probed before it is used (RFC 5227); answers are asked
//! for by broadcast, because a bridge would take a unicast one to the realm whose address it is about.

mod acquire;
mod hold;
mod lease;

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::arp::Arp;
use crate::client_id::ClientId;
use crate::mac::Mac;
use crate::message::{Kind, Message, Short};
use crate::options::code;

use self::acquire::{Init, Probing, Rebooting, Requesting, Selecting};
use self::hold::Renewing;
pub use self::lease::Lease;

/// Who asks, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hardware address that the lease is for.
    pub mac: Mac,
    /// Who the client is.
    pub id: ClientId,
    /// What kind of client it is.
    pub class: Short,
    /// Where renewals go.
    pub renewal: Renewal,
    /// The address that it should get, where that is known.
    pub expected: Option<Ipv4Addr>,
}

/// Where renewals go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// To the server, as the standard has it; the answer comes to the address itself.
    ToTheServer,
    /// To everybody, in the form of INIT-REBOOT, which every server answers by broadcast: for an address that
    /// others than the client's own machine would receive the answer on.
    ToEverybody,
}

/// What happens to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// Time went on.
    Time,
    /// A message came, from this station.
    Heard(&'a Message, Mac),
    /// Somebody spoke ARP.
    Arp(Arp),
    /// The address is not wanted any more.
    Release,
}

/// What the client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// A message is to be sent.
    Send(Outgoing),
    /// Everybody is to be asked by ARP who uses the address.
    Probe(Ipv4Addr),
    /// There is an address, and it may be used.
    Bound(Lease),
    /// The lease goes on for longer.
    Renewed(Lease),
    /// The address must not be used any more.
    Lost(Loss),
    /// Another station uses the address that a server gave.
    InUse(Ipv4Addr),
}

/// A message with where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// What it says.
    pub message: Message,
    /// From which address: 0.0.0.0 where there is none.
    pub from: Ipv4Addr,
    /// To which address.
    pub to: Ipv4Addr,
    /// To which station.
    pub to_mac: Mac,
}

/// Why an address is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// No server renewed the lease in time.
    Expired,
    /// A server said that the client may not have it.
    Refused,
    /// The client gave it back.
    Released,
}

/// A client. Time is that of a clock which never goes back and does not stop.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    state: State,
}

#[derive(Debug, Clone)]
enum State {
    Init(Init),
    Selecting(Selecting),
    Requesting(Requesting),
    Rebooting(Rebooting),
    Probing(Probing),
    Bound(Lease),
    Renewing(Renewing),
    Rebinding(Renewing),
    Released,
}

/// What a transition needs beside its state.
struct Turn<'a> {
    settings: &'a Settings,
    now: Duration,
    random: u64,
    out: &'a mut Vec<Command>,
}

impl Client {
    /// A client that begins now; with an address that it had before, it asks for that first.
    #[must_use]
    pub fn new(settings: Settings, remembered: Option<Ipv4Addr>, now: Duration) -> Self {
        let state = match remembered {
            Some(address) => State::Rebooting(Rebooting::new(address, now)),
            None => State::Init(Init { at: now, refusals: 0 }),
        };
        Self { settings, state }
    }

    /// Who asks, and how.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The lease, while its address may be used.
    #[must_use]
    pub fn lease(&self, now: Duration) -> Option<&Lease> {
        let lease = match &self.state {
            State::Bound(lease) => lease,
            State::Renewing(renewing) | State::Rebinding(renewing) => &renewing.lease,
            State::Init(_)
            | State::Selecting(_)
            | State::Requesting(_)
            | State::Rebooting(_)
            | State::Probing(_)
            | State::Released => return None,
        };
        Some(lease).filter(|lease| now < lease.until)
    }

    /// When it is to be told of the time at the latest; never, when it was released.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        match &self.state {
            State::Init(init) => Some(init.at),
            State::Selecting(selecting) => Some(selecting.wake_at()),
            State::Requesting(requesting) => Some(requesting.again_at()),
            State::Rebooting(rebooting) => Some(rebooting.again_at()),
            State::Probing(probing) => Some(probing.next_at),
            State::Bound(lease) => Some(lease.renew_at),
            State::Renewing(renewing) => Some(renewing.again_at.min(renewing.lease.rebind_at)),
            State::Rebinding(renewing) => Some(renewing.again_at.min(renewing.lease.until)),
            State::Released => None,
        }
    }

    /// The state's name in the standard, for people.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self.state {
            State::Init(_) => "init",
            State::Selecting(_) => "selecting",
            State::Requesting(_) => "requesting",
            State::Rebooting(_) => "rebooting",
            State::Probing(_) => "probing",
            State::Bound(_) => "bound",
            State::Renewing(_) => "renewing",
            State::Rebinding(_) => "rebinding",
            State::Released => "released",
        }
    }

    /// Takes an event in. `random` is fresh with each call.
    pub fn step(&mut self, event: Event<'_>, now: Duration, random: u64, out: &mut Vec<Command>) {
        let state = std::mem::replace(&mut self.state, State::Released);
        let mut turn = Turn { settings: &self.settings, now, random, out };
        self.state = match event {
            Event::Time => turn.time(state),
            Event::Heard(message, from) => turn.heard(state, message, from),
            Event::Arp(arp) => turn.arp(state, arp),
            Event::Release => turn.release(state),
        };
    }
}

impl Turn<'_> {
    fn time(&mut self, state: State) -> State {
        match state {
            State::Init(init) if init.at > self.now => State::Init(init),
            State::Init(init) => self.discover(init),
            State::Selecting(selecting) => self.keep_selecting(selecting),
            State::Requesting(requesting) => self.keep_requesting(requesting),
            State::Rebooting(rebooting) => self.keep_rebooting(rebooting),
            State::Probing(probing) => self.keep_probing(probing),
            State::Bound(lease) => self.keep_bound(lease),
            State::Renewing(renewing) => self.keep_renewing(renewing),
            State::Rebinding(renewing) => self.keep_rebinding(renewing),
            State::Released => State::Released,
        }
    }

    fn heard(&mut self, state: State, message: &Message, from: Mac) -> State {
        let to_us = message.chaddr == self.settings.mac
            && message.client.as_ref().is_none_or(|client| *client == self.settings.id);
        if !to_us || !message.kind.is_from_server() {
            return state;
        }
        match state {
            State::Selecting(selecting) => self.offered(selecting, message),
            State::Requesting(requesting) => self.answered(requesting, message, from),
            State::Rebooting(rebooting) => self.rebooted(rebooting, message, from),
            State::Renewing(renewing) => self.renewed(renewing, message, from, State::Renewing),
            State::Rebinding(renewing) => self.renewed(renewing, message, from, State::Rebinding),
            state @ (State::Init(_) | State::Probing(_) | State::Bound(_) | State::Released) => state,
        }
    }

    fn arp(&mut self, state: State, arp: Arp) -> State {
        match state {
            State::Probing(probing) if arp.shows_use_of(probing.lease.address, self.settings.mac) => {
                self.decline(&probing.lease)
            }
            state @ (State::Init(_)
            | State::Selecting(_)
            | State::Requesting(_)
            | State::Rebooting(_)
            | State::Probing(_)
            | State::Bound(_)
            | State::Renewing(_)
            | State::Rebinding(_)
            | State::Released) => state,
        }
    }

    fn release(&mut self, state: State) -> State {
        match state {
            State::Bound(lease) => self.give_back(&lease),
            State::Renewing(renewing) | State::Rebinding(renewing) => self.give_back(&renewing.lease),
            State::Probing(probing) => self.give_back(&probing.lease),
            State::Init(_)
            | State::Selecting(_)
            | State::Requesting(_)
            | State::Rebooting(_)
            | State::Released => {}
        }
        State::Released
    }

    /// A new exchange's number.
    fn xid(&self) -> u32 {
        u32::try_from(self.random & u64::from(u32::MAX)).unwrap_or(0)
    }

    /// A random part of a second.
    fn jitter(&self) -> Duration {
        Duration::from_millis((self.random >> 32) % 1000)
    }

    /// A message from this client, saying who it is.
    fn message(&self, kind: Kind, xid: u32) -> Message {
        let asks = kind == Kind::Discover || kind == Kind::Request;
        Message {
            broadcast: asks,
            client: Some(self.settings.id.clone()),
            class: asks.then(|| self.settings.class.clone()),
            parameters: asks.then(|| Short::new(&WANTED)).flatten(),
            size_max: asks.then_some(SIZE_MAX),
            ..Message::new(kind, xid, self.settings.mac)
        }
    }

    fn broadcast(&mut self, message: Message) {
        let (from, to) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST);
        self.out.push(Command::Send(Outgoing { message, from, to, to_mac: Mac::BROADCAST }));
    }
}

/// The options that it would like.
const WANTED: [u8; 6] =
    [code::MASK, code::ROUTERS, code::LEASE, code::SERVER, code::RENEWAL, code::REBINDING];
/// What is read: [`crate::MESSAGE_BYTES_MAX`].
const SIZE_MAX: u16 = 1472;
