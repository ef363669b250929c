//! A server at its link: the machine with frames in and out, checks by ARP, a clock that does not go back, and
//! reports that are told once a while. Who runs it has the socket and the medium.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::arp::Arp;
use crate::client_id::ClientId;
use crate::frame::UdpChecksum;
use crate::mac::Mac;
use crate::server::{Command, Event, Record, Report, Server};
use crate::wire::{self, Heard};

/// How long somebody who has an address has to answer to ARP.
const CHECK_WAIT: Duration = Duration::from_millis(500);
/// How long the same report is not told again, in seconds.
const REPORT_PAUSE_S: u64 = 600;
/// Reports that are remembered as told; beyond, the oldest is.
const REPORTS_MAX: usize = 64;

/// What a desk stands on.
pub trait Ground {
    /// Why something cannot be stored.
    type Error;

    /// Puts a record on the medium, in place of the one for its address. It is there when this returns.
    ///
    /// # Errors
    /// When it may not be there.
    fn store(&mut self, record: &Record) -> Result<(), Self::Error>;

    /// Sends a frame; that it arrives is nobody's promise.
    fn send(&mut self, frame: &[u8]);

    /// Tells a person.
    fn report(&mut self, report: &Report);
}

/// Two clocks.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Since 1970.
    pub wall: Duration,
    /// Since whenever; never goes back.
    pub steady: Duration,
}

/// A server at its link.
#[derive(Debug)]
pub struct Desk {
    server: Server,
    mac: Mac,
    latest_s: u64,
    checks: BTreeMap<Ipv4Addr, (Duration, Mac)>,
    told: Vec<(Report, u64)>,
}

impl Desk {
    /// A server on a link where it has this hardware address.
    #[must_use]
    pub fn new(server: Server, mac: Mac) -> Self {
        Self { server, mac, latest_s: 0, checks: BTreeMap::new(), told: Vec::new() }
    }

    /// The server.
    #[must_use]
    pub const fn server(&self) -> &Server {
        &self.server
    }

    /// The server, to reserve addresses with.
    pub const fn server_mut(&mut self) -> &mut Server {
        &mut self.server
    }

    /// When it is to be told of the time at the latest, on the steady clock.
    #[must_use]
    pub fn wake_at(&self) -> Option<Duration> {
        self.checks.values().map(|(until, _)| *until).min()
    }

    /// Takes a frame in. What is no DHCP or ARP is dropped.
    ///
    /// # Errors
    /// When a record cannot be stored; then the answer that rests on it was not sent.
    pub fn heard<G: Ground>(
        &mut self,
        frame: &[u8],
        checksum: UdpChecksum,
        clock: Clock,
        ground: &mut G,
    ) -> Result<(), G::Error> {
        match wire::read(frame, checksum) {
            Ok(Heard::Message(message, from)) => self.step(Event::Heard(&message, from), clock, ground),
            Ok(Heard::Arp(arp)) => {
                let Some(address) = self.claimed(arp) else { return Ok(()) };
                self.checks.remove(&address);
                self.step(Event::Checked { address, used: true }, clock, ground)
            }
            Err(_malformed) => Ok(()),
        }
    }

    /// Takes back what a client has, of which it is known that it uses it no more.
    ///
    /// # Errors
    /// As for [`Desk::heard`].
    pub fn ended<G: Ground>(
        &mut self,
        client: &ClientId,
        clock: Clock,
        ground: &mut G,
    ) -> Result<(), G::Error> {
        self.step(Event::Ended(client), clock, ground)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// As for [`Desk::heard`].
    pub fn time<G: Ground>(&mut self, clock: Clock, ground: &mut G) -> Result<(), G::Error> {
        while let Some(address) = self.due(clock.steady) {
            self.checks.remove(&address);
            self.step(Event::Checked { address, used: false }, clock, ground)?;
        }
        Ok(())
    }

    /// The address under check that the station shows to be in use.
    fn claimed(&self, arp: Arp) -> Option<Ipv4Addr> {
        [arp.sender, arp.target].into_iter().find(|&address| {
            let asked_by = self.checks.get(&address).map(|(_, client)| *client);
            asked_by.is_some_and(|client| arp.sender_mac != client && arp.shows_use_of(address, self.mac))
        })
    }

    fn due(&self, now: Duration) -> Option<Ipv4Addr> {
        self.checks.iter().find(|(_, (until, _))| *until <= now).map(|(address, _)| *address)
    }

    fn step<G: Ground>(&mut self, event: Event<'_>, clock: Clock, ground: &mut G) -> Result<(), G::Error> {
        let mut commands = Vec::new();
        self.latest_s = self.latest_s.max(clock.wall.as_secs());
        self.server.step(event, self.latest_s, &mut commands);
        for command in commands {
            match command {
                Command::Store(record) => ground.store(&record)?,
                Command::Reply(reply) => {
                    ground.send(&wire::of_server(&reply, self.mac, self.server.config().server));
                }
                Command::Check { address, client } => {
                    self.checks.insert(address, (clock.steady + CHECK_WAIT, client));
                    ground.send(&Arp::probe(self.mac, address));
                }
                Command::Report(report) => self.report(report, ground),
            }
        }
        Ok(())
    }

    fn report<G: Ground>(&mut self, report: Report, ground: &mut G) {
        let now_s = self.latest_s;
        self.told.retain(|(_, at_s)| now_s < at_s + REPORT_PAUSE_S);
        if self.told.iter().any(|(told, _)| *told == report) {
            return;
        }
        ground.report(&report);
        if self.told.len() == REPORTS_MAX {
            self.told.remove(0);
        }
        self.told.push((report, now_s));
    }
}
