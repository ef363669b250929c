//! Sealed orders. Custody alone can open them; what it finds within is an order like any other, and is looked
//! at like one when it comes back. Whoever brought it learns that it was handed on and no more: it may
//! be a mailbox that is not to know what was ordered. What came of it is on record.

use id::TierId;
use keys::{Addressee, Outside, SealedOrder};
use node_protocol::call::{Answer, code};
use tenure::Refusal;

use super::calls::{as_answer, refused};
use super::{Ended, Supervisor};
use crate::failure::Exit;

impl Supervisor {
    /// Hands a sealed order on; nothing if it is none. What stands on its outside is looked at first, so that
    /// custody is not kept busy with what it would refuse.
    pub(super) fn sealed_order(&mut self, by: Option<TierId>, bytes: &[u8]) -> Option<Answer> {
        let sealed = SealedOrder::parse(bytes).ok()?;
        let Outside { addressee, not_after, .. } = sealed.outside();
        let now = self.node.now();
        if let Err(refusal) = self.is_for_us(addressee) {
            return Some(as_answer(&refusal));
        }
        if now >= *not_after {
            return Some(as_answer(&Refusal::Expired { not_after: *not_after, now }));
        }
        Some(match self.hand_order(by, addressee, now, bytes) {
            Ok(()) => Answer::Handed {},
            Err(why) => refused(code::FAILED, Exit::Failed, why),
        })
    }

    fn is_for_us(&self, addressee: &Addressee) -> Result<(), Refusal> {
        let tenure = &self.node.tenure;
        if tenure.node() != Some(addressee.node) {
            return Err(Refusal::WrongNode {});
        }
        let present = tenure.tier(addressee.tier).ok_or(Refusal::UnknownTier {})?.epoch;
        if present == addressee.epoch {
            Ok(())
        } else {
            Err(Refusal::WrongEpoch { named: addressee.epoch, present })
        }
    }

    /// Looks at what custody has opened. A refusal is on record where the signer is known, and nobody waits for
    /// the answer.
    pub(super) fn obey_opened(&mut self) -> Result<(), Ended> {
        for envelope in std::mem::take(&mut self.opened) {
            self.order(None, envelope.as_bytes())?;
            // What an order cuts is cut before the next one is read.
            self.advance()?;
        }
        Ok(())
    }
}
