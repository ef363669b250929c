//! Which address a client may have.

use std::net::Ipv4Addr;

use super::{Class, Record, Server};
use crate::client_id::ClientId;

/// What is known of a client and an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// It has it, had it and nobody has it since, or it is offered or reserved for it.
    Own,
    /// It could have it; nothing says that it ever did.
    Free,
    /// It must not have it.
    Other,
    /// Not one that this server gives to such a client.
    Unknown,
}

/// Why a client gets no offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoOffer {
    /// It is of a class that is not served.
    NotServed,
    /// Its pool has no free address.
    Full,
    /// What is reserved for it is in use by another.
    ReservedInUse(Ipv4Addr),
}

impl Server {
    /// The address to offer: the one reserved for the client; else the one it has or had; else the one that
    /// it asks for; else any of its pool (RFC 2131 §4.3.1).
    pub(super) fn choose(
        &self,
        client: &ClientId,
        class: Class,
        asked: Option<Ipv4Addr>,
        now_s: u64,
    ) -> Result<Ipv4Addr, NoOffer> {
        if let Some(&reserved) = self.reservations.get(client) {
            return match self.claim(client, class, reserved, now_s) {
                Claim::Own | Claim::Free => Ok(reserved),
                Claim::Other | Claim::Unknown => Err(NoOffer::ReservedInUse(reserved)),
            };
        }
        let pool = self.config.pool(class).filter(|pool| !pool.reserved_only).ok_or(NoOffer::NotServed)?;
        let had = self.newest.get(client).copied();
        let free = |address: &Ipv4Addr| {
            pool.contains(*address)
                && matches!(self.claim(client, class, *address, now_s), Claim::Own | Claim::Free)
        };
        if let Some(address) = had.filter(free).or(asked.filter(free)) {
            return Ok(address);
        }
        // Begins at a place of the client's own, so that clients get back what they had more often.
        let skip =
            client.as_bytes().iter().fold(0_u32, |hash, &byte| hash.wrapping_mul(31) ^ u32::from(byte));
        let place = |index: u32| u32::from(pool.first) + (skip % pool.size() + index) % pool.size();
        (0..pool.size()).map(|index| place(index).into()).find(free).ok_or(NoOffer::Full)
    }

    pub(super) fn claim(&self, client: &ClientId, class: Class, address: Ipv4Addr, now_s: u64) -> Claim {
        let others = |of: &ClientId| of != client;
        let record = self.records.get(&address);
        if record.is_some_and(|record| record.is_held(now_s) && !is_clients(record, client, now_s)) {
            return Claim::Other;
        }
        let offer = self.offers.get(&address).filter(|offer| now_s < offer.until_s);
        if offer.is_some_and(|offer| others(&offer.client)) || self.reserved.get(&address).is_some_and(others)
        {
            return Claim::Other;
        }
        match self.reservations.get(client) {
            Some(reserved) if *reserved == address => return Claim::Own,
            Some(_) => return Claim::Other,
            None => {}
        }
        let pool = self.config.pool(class).filter(|pool| !pool.reserved_only);
        if !pool.is_some_and(|pool| pool.contains(address)) {
            return Claim::Unknown;
        }
        let had = record.is_some_and(|record| record.client == *client);
        if had || offer.is_some() { Claim::Own } else { Claim::Free }
    }

    /// Whether somebody has the address, or it was offered to somebody.
    pub(super) fn is_held(&self, address: Ipv4Addr, now_s: u64) -> bool {
        self.records.get(&address).is_some_and(|record| record.is_held(now_s))
            || self.offers.get(&address).is_some_and(|offer| now_s < offer.until_s)
    }
}

/// A record that keeps its client from nothing: a lease of its own.
fn is_clients(record: &Record, client: &ClientId, now_s: u64) -> bool {
    record.client == *client && record.is_leased(now_s)
}
