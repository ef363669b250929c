//! What the server says to each message (RFC 2131 §4.3.1 to §4.3.5).

use std::net::Ipv4Addr;

use super::choose::{Claim, NoOffer};
use super::{
    CHECKS_MAX, Class, Command, DECLINED_S, OFFER_S, Offer, Record, Reply, Report, Server, Standing,
};
use crate::client_id::ClientId;
use crate::mac::Mac;
use crate::message::{Kind, Message, Short};

impl Server {
    pub(super) fn discovered(&mut self, message: &Message, from: Mac, now_s: u64, out: &mut Vec<Command>) {
        self.offers.retain(|_, offer| now_s < offer.until_s);
        let (client, class) = (message.client_id(), Class::of(message));
        let address = match self.choose(&client, class, message.requested, now_s) {
            Ok(address) => address,
            Err(NoOffer::NotServed) => return,
            Err(NoOffer::Full) => return out.push(Command::Report(Report::Full { class, client })),
            Err(NoOffer::ReservedInUse(address)) => {
                return out.push(Command::Report(Report::ReservedInUse { address, client }));
            }
        };
        // One offer a client: else a client that asks often would hold a pool.
        self.offers.retain(|_, offer| offer.client != client);
        let has = self.records.get(&address).is_some_and(|record| record.is_leased(now_s));
        if !self.config.check || has {
            self.offer(message, from, address, now_s, out);
            return;
        }
        if self.checks.len() < CHECKS_MAX || self.checks.contains_key(&address) {
            self.offers.insert(address, Offer { client, until_s: now_s + OFFER_S });
            self.checks.insert(address, (message.clone(), from));
            out.push(Command::Check { address, client: message.chaddr });
        }
    }

    pub(super) fn checked(&mut self, address: Ipv4Addr, used: bool, now_s: u64, out: &mut Vec<Command>) {
        let Some((message, from)) = self.checks.remove(&address) else { return };
        if used {
            self.take_away(&message, address, now_s, out);
        }
        // It may have been reserved for another meanwhile.
        match self.claim(&message.client_id(), Class::of(&message), address, now_s) {
            Claim::Own | Claim::Free => self.offer(&message, from, address, now_s, out),
            Claim::Other | Claim::Unknown => self.discovered(&message, from, now_s, out),
        }
    }

    fn offer(&mut self, message: &Message, from: Mac, address: Ipv4Addr, now_s: u64, out: &mut Vec<Command>) {
        self.offers.insert(address, Offer { client: message.client_id(), until_s: now_s + OFFER_S });
        let offer = self.lease_of(message, Kind::Offer, address);
        out.push(Command::Reply(addressed(offer, message, from)));
    }

    /// REQUEST in its four kinds (§4.3.2, table 4).
    pub(super) fn requested(&mut self, message: &Message, from: Mac, now_s: u64, out: &mut Vec<Command>) {
        let in_use = Some(message.ciaddr).filter(|address| !address.is_unspecified());
        match (message.server, message.requested, in_use) {
            // SELECTING
            (Some(server), Some(address), None) if server == self.config.server => {
                match self.claim(&message.client_id(), Class::of(message), address, now_s) {
                    Claim::Own | Claim::Free => self.acknowledge(message, from, address, now_s, out),
                    Claim::Other | Claim::Unknown => self.refuse(message, out),
                }
            }
            // It took the offer of another.
            (Some(server), Some(_), None) => {
                let client = message.client_id();
                self.offers.retain(|_, offer| offer.client != client);
                self.heard_server(Some(server), None, out);
            }
            // INIT-REBOOT; RENEWING and REBINDING, which only the address that they come to tells apart.
            (None, Some(address), None) | (None, None, Some(address)) => {
                self.wants_again(message, from, address, now_s, out);
            }
            // What no state of a client sends.
            (Some(_), None, _)
            | (Some(_), Some(_), Some(_))
            | (None, Some(_), Some(_))
            | (None, None, None) => {}
        }
    }

    /// A client would go on with an address. Where nothing is known of the client, another server may have
    /// given it: silence (§4.3.2), unless it has another address from here, or this
    /// one is none of this link.
    fn wants_again(
        &mut self,
        message: &Message,
        from: Mac,
        address: Ipv4Addr,
        now_s: u64,
        out: &mut Vec<Command>,
    ) {
        let client = message.client_id();
        let newest = self.newest.get(&client).and_then(|newest| self.records.get(newest));
        let elsewhere = newest.is_some_and(|newest| newest.address != address && newest.is_leased(now_s));
        match self.claim(&client, Class::of(message), address, now_s) {
            Claim::Own => self.acknowledge(message, from, address, now_s, out),
            Claim::Other => self.refuse(message, out),
            Claim::Unknown | Claim::Free if elsewhere || self.config.network_of(address).is_none() => {
                self.refuse(message, out);
            }
            Claim::Unknown | Claim::Free => {}
        }
    }

    /// DECLINE (§4.3.3).
    pub(super) fn declined(&mut self, message: &Message, now_s: u64, out: &mut Vec<Command>) {
        let ours = message.server == Some(self.config.server);
        let Some(address) = message.requested.filter(|_| ours) else { return };
        let client = message.client_id();
        let own = self
            .records
            .get(&address)
            .is_some_and(|record| record.client == client && record.is_leased(now_s));
        if own {
            self.take_away(message, address, now_s, out);
        }
    }

    /// The address is nobody's for a while.
    fn take_away(&mut self, message: &Message, address: Ipv4Addr, now_s: u64, out: &mut Vec<Command>) {
        self.offers.remove(&address);
        self.store(
            Record {
                address,
                client: message.client_id(),
                mac: message.chaddr,
                class: Class::of(message),
                until_s: now_s + DECLINED_S,
                standing: Standing::Declined,
            },
            out,
        );
        out.push(Command::Report(Report::InUse { address }));
    }

    /// RELEASE (§4.3.4).
    pub(super) fn released(&mut self, message: &Message, now_s: u64, out: &mut Vec<Command>) {
        let ours = message.server.is_none_or(|server| server == self.config.server);
        let client = message.client_id();
        let record = self.records.get(&message.ciaddr);
        let record = record.filter(|record| ours && record.client == client && record.is_leased(now_s));
        if let Some(record) = record.cloned() {
            self.store(Record { standing: Standing::Released, ..record }, out);
        }
    }

    /// As if the client had released what it has.
    pub(super) fn ended(&mut self, client: &ClientId, now_s: u64, out: &mut Vec<Command>) {
        let own = |record: &&Record| record.client == *client && record.is_leased(now_s);
        let had: Vec<Record> = self.records.values().filter(own).cloned().collect();
        for record in had {
            self.store(Record { standing: Standing::Released, ..record }, out);
        }
    }

    /// INFORM (§4.3.5): what is to be known beside the address, to the address.
    pub(super) fn informed(&self, message: &Message, from: Mac, out: &mut Vec<Command>) {
        if !self.config.can_give(message.ciaddr) {
            return;
        }
        let mut answer = self.answer_to(message, Kind::Ack);
        self.tell_network(message.ciaddr, &mut answer);
        out.push(Command::Reply(addressed(answer, message, from)));
    }

    fn acknowledge(
        &mut self,
        message: &Message,
        from: Mac,
        address: Ipv4Addr,
        now_s: u64,
        out: &mut Vec<Command>,
    ) {
        self.offers.remove(&address);
        self.store(
            Record {
                address,
                client: message.client_id(),
                mac: message.chaddr,
                class: Class::of(message),
                // Whole seconds were cut off from now: the client's lease must end first.
                until_s: now_s + u64::from(self.config.lease_s) + 1,
                standing: Standing::Leased,
            },
            out,
        );
        let mut ack = self.lease_of(message, Kind::Ack, address);
        ack.ciaddr = message.ciaddr;
        out.push(Command::Reply(addressed(ack, message, from)));
    }

    fn refuse(&self, message: &Message, out: &mut Vec<Command>) {
        let mut nak = self.answer_to(message, Kind::Nak);
        nak.text = Short::new(b"this address is not yours");
        // Whoever has a wrong address cannot be reached by it (§4.3.2).
        let (to, to_mac) = (Ipv4Addr::BROADCAST, Mac::BROADCAST);
        out.push(Command::Reply(Reply { message: nak, to, to_mac }));
    }

    fn lease_of(&self, message: &Message, kind: Kind, address: Ipv4Addr) -> Message {
        let lease_s = self.config.lease_s;
        let mut lease = Message {
            yiaddr: address,
            lease_s: Some(lease_s),
            renewal_s: Some(lease_s / 2),
            rebinding_s: Some(lease_s - lease_s / 8),
            ..self.answer_to(message, kind)
        };
        self.tell_network(address, &mut lease);
        lease
    }

    fn tell_network(&self, address: Ipv4Addr, answer: &mut Message) {
        if let Some(network) = self.config.network_of(address) {
            (answer.prefix, answer.router) = (Some(network.prefix), network.router);
        }
    }

    fn answer_to(&self, message: &Message, kind: Kind) -> Message {
        Message {
            broadcast: message.broadcast,
            server: Some(self.config.server),
            // RFC 6842 §3.
            client: message.client.clone(),
            ..Message::new(kind, message.xid, message.chaddr)
        }
    }
}

/// To the address that the client uses; else to everybody, if it asks for that; else to the address that it is
/// given (§4.1).
fn addressed(answer: Message, to: &Message, from: Mac) -> Reply {
    if !to.ciaddr.is_unspecified() {
        return Reply { message: answer, to: to.ciaddr, to_mac: from };
    }
    if to.broadcast {
        return Reply { message: answer, to: Ipv4Addr::BROADCAST, to_mac: Mac::BROADCAST };
    }
    Reply { to: answer.yiaddr, to_mac: to.chaddr, message: answer }
}
