//! With an address: BOUND, RENEWING, REBINDING, and giving it back.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::{Command, Lease, Loss, Outgoing, Renewal, State, Turn};
use crate::mac::Mac;
use crate::message::{Kind, Message};

/// The shortest pause between two requests for a lease that is still held (RFC 2131 §4.4.5).
const AGAIN_MIN: Duration = Duration::from_secs(60);

/// A lease for which more time was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Renewing {
    pub(super) lease: Lease,
    xid: u32,
    /// When it was first asked under this number.
    began: Duration,
    pub(super) again_at: Duration,
}

impl Turn<'_> {
    pub(super) fn keep_bound(&mut self, lease: Lease) -> State {
        if self.now < lease.renew_at {
            return State::Bound(lease);
        }
        self.keep_renewing(Renewing { lease, xid: self.xid(), began: self.now, again_at: self.now })
    }

    pub(super) fn keep_renewing(&mut self, mut renewing: Renewing) -> State {
        if self.now >= renewing.lease.rebind_at {
            // Another question, to others: with a number of its own.
            let (xid, began) = (self.xid(), self.now);
            return self.keep_rebinding(Renewing { xid, began, again_at: self.now, ..renewing });
        }
        if self.now >= renewing.again_at {
            renewing.again_at = self.next_before(renewing.lease.rebind_at);
            let lease = renewing.lease;
            self.ask_for_more(renewing, lease.address, (lease.server, lease.server_mac));
        }
        State::Renewing(renewing)
    }

    pub(super) fn keep_rebinding(&mut self, mut renewing: Renewing) -> State {
        if self.now >= renewing.lease.until {
            return self.lost(Loss::Expired);
        }
        if self.now >= renewing.again_at {
            renewing.again_at = self.next_before(renewing.lease.until);
            let everybody = (Ipv4Addr::BROADCAST, Mac::BROADCAST);
            self.ask_for_more(renewing, renewing.lease.address, everybody);
        }
        State::Rebinding(renewing)
    }

    /// Half of what is left, a minute at least.
    fn next_before(&self, end: Duration) -> Duration {
        self.now + (end.saturating_sub(self.now) / 2).max(AGAIN_MIN)
    }

    fn ask_for_more(&mut self, renewing: Renewing, address: Ipv4Addr, to: (Ipv4Addr, Mac)) {
        let mut message = self.message(Kind::Request, renewing.xid);
        let secs = self.now.saturating_sub(renewing.began).as_secs();
        message.secs = u16::try_from(secs).unwrap_or(u16::MAX);
        match self.settings.renewal {
            Renewal::ToTheServer => {
                (message.ciaddr, message.broadcast) = (address, false);
                let (to, to_mac) = to;
                self.out.push(Command::Send(Outgoing { message, from: address, to, to_mac }));
            }
            Renewal::ToEverybody => {
                message.requested = Some(address);
                self.broadcast(message);
            }
        }
    }

    pub(super) fn renewed(
        &mut self,
        renewing: Renewing,
        message: &Message,
        from: Mac,
        still: fn(Renewing) -> State,
    ) -> State {
        if message.xid != renewing.xid || self.now >= renewing.lease.until {
            return still(renewing);
        }
        let lease = Lease::of(message, from, renewing.began);
        match (message.kind, lease) {
            (Kind::Nak, _) => self.lost(Loss::Refused),
            // Another address would have to be configured and probed like a new one.
            (Kind::Ack, Some(lease)) if lease.address == renewing.lease.address => {
                self.out.push(Command::Renewed(lease));
                State::Bound(lease)
            }
            _ => still(renewing),
        }
    }

    fn lost(&mut self, loss: Loss) -> State {
        self.out.push(Command::Lost(loss));
        self.refused(0)
    }

    /// RELEASE goes to the server alone (RFC 2131 §4.4.6), and nobody answers it.
    pub(super) fn give_back(&mut self, lease: &Lease) {
        let mut message = self.message(Kind::Release, self.xid());
        (message.ciaddr, message.server) = (lease.address, Some(lease.server));
        let (from, to, to_mac) = (lease.address, lease.server, lease.server_mac);
        self.out.push(Command::Send(Outgoing { message, from, to, to_mac }));
        self.out.push(Command::Lost(Loss::Released));
    }
}
