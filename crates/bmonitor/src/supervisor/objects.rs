//! Objects on their way to the disk and back: custody seals each for the tier whose console sent it (for the
//! root, where it came over the node's own socket), what it means is worked out beside the loop, and who sent it
//! is answered when the sealed form is on the medium. A tier's objects are unreadable once it has ended, for their key went with its secrets.
//!
//! What lies on the disk under an object's name: the tier's 16 bytes, then what custody sealed.

use std::collections::BTreeMap;

use id::{Digest, TierId};
use journal::ObjectError;
use keys::at_rest::SEALED_MORE_BYTES;
use node_protocol::call::{Answer, code};
use node_protocol::courier::ToCourier;
use node_protocol::frame::ATTACHMENT_BYTES_MAX;

use super::Supervisor;
use super::calls::refused;
use super::custodian::{self, Custodian, Purpose};
use super::services::{Service, Services};
use crate::custody::{Reply, Request, StoreState};
use crate::failure::{Exit, chain};
use crate::node::NotStored;
use crate::sets::{Learned, NoMeaning};
use crate::step::Step;

/// The longest object: sealed and named by its tier it must still go through a frame.
const OBJECT_BYTES_MAX: usize = ATTACHMENT_BYTES_MAX - SEALED_MORE_BYTES - TIER_BYTES;
const TIER_BYTES: usize = 16;
/// Objects that wait for custody, and their bytes.
const WAITING_MAX: usize = 32;
const WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Who is to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ticket {
    /// A client of the node's own socket.
    Client(u64),
    /// A courier's call of that number.
    Courier(TierId, u64),
}

impl Ticket {
    /// The tier whose console it is.
    pub(super) const fn by(self) -> Option<TierId> {
        match self {
            Self::Client(_) => None,
            Self::Courier(tier, _) => Some(tier),
        }
    }
}

/// Objects that are not sealed yet, or of which it is not known yet what they mean.
#[derive(Debug, Default)]
pub(super) struct Unsealed {
    last: u64,
    waiting: BTreeMap<u64, Waiting>,
    studied: BTreeMap<u64, Studied>,
}

/// A sealed object that is being worked out.
#[derive(Debug)]
struct Studied {
    ticket: Ticket,
    name: Digest,
    bytes: Vec<u8>,
    form: Vec<u8>,
}

#[derive(Debug)]
struct Waiting {
    ticket: Ticket,
    name: Digest,
    owner: TierId,
    bytes: Vec<u8>,
    asked: bool,
}

/// A store that was opened late, and the objects that are not recalled yet.
#[derive(Debug)]
pub(super) struct Opening {
    state: StoreState,
    rest: Vec<Digest>,
}

/// The tier whose key opens a form, and what that opens.
fn parts(form: &[u8]) -> Result<(TierId, &[u8]), String> {
    let (tier, sealed) = form.split_first_chunk::<TIER_BYTES>().ok_or("it is no sealed object")?;
    Ok((TierId::from_bytes(*tier), sealed))
}

/// Has custody open an object at the start, and waits for it.
pub(super) fn open_and_wait(
    services: &mut Services,
    custodian: &mut Custodian,
    name: Digest,
    form: &[u8],
) -> Result<Vec<u8>, String> {
    let (tier, sealed) = parts(form)?;
    custodian::unseal_and_wait(services, custodian, tier, name, sealed)
}

impl Supervisor {
    /// Takes an object. Gives the answer where that is known at once.
    pub(super) fn object(&mut self, ticket: Ticket, name: Digest, bytes: Vec<u8>) -> Option<Answer> {
        if !self.store.open {
            return Some(refused(code::NOT_YET, Exit::Failed, "the node waits for its share"));
        }
        if bytes.len() > OBJECT_BYTES_MAX {
            let why = format!("an object has at most {OBJECT_BYTES_MAX} bytes");
            return Some(refused(code::MALFORMED_OBJECT, Exit::Usage, why));
        }
        let waiting = self.unsealed.waiting.values().map(|waiting| waiting.bytes.len());
        let studied = self.unsealed.studied.values().map(|studied| 2 * studied.bytes.len());
        let waiting: Vec<usize> = waiting.chain(studied).collect();
        let owner = ticket.by().or(self.node.tenure.root());
        let bytes_waiting: usize = waiting.iter().sum();
        let room = waiting.len() < WAITING_MAX && bytes_waiting + bytes.len() <= WAITING_BYTES_MAX;
        let Some(owner) = owner.filter(|_| room) else {
            return Some(refused(code::FAILED, Exit::Failed, "too many objects wait to be sealed"));
        };
        self.unsealed.last += 1;
        let waiting = Waiting { ticket, name, owner, bytes, asked: false };
        self.unsealed.waiting.insert(self.unsealed.last, waiting);
        self.have_objects_sealed();
        None
    }

    /// Asks custody for what it was not asked for yet. What it does not take now it is asked for later.
    pub(super) fn have_objects_sealed(&mut self) {
        if self.unsealed.waiting.values().all(|waiting| waiting.asked) {
            return;
        }
        if !custodian::is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
            return;
        }
        for (number, waiting) in self.unsealed.waiting.iter_mut().filter(|(_, waiting)| !waiting.asked) {
            let request = Request::Seal { tier: waiting.owner, name: waiting.name };
            let purpose = Purpose::Seal(*number);
            let asked = self.custodian.ask_with(&mut self.services, purpose, request, &waiting.bytes, None);
            waiting.asked = asked.is_ok();
        }
    }

    /// Has worked out what custody has sealed.
    pub(super) fn object_sealed(&mut self, number: u64, reply: &Reply, sealed: &[u8]) {
        let Some(Waiting { ticket, name, owner, bytes, .. }) = self.unsealed.waiting.remove(&number) else {
            return;
        };
        if *reply == (Reply::Done {}) {
            let form = [owner.as_bytes().as_slice(), sealed].concat();
            self.study_object(number, Studied { ticket, name, bytes, form });
        } else {
            let why = format!("custody does not seal it: {reply:?}");
            self.answer_ticket(ticket, refused(code::FAILED, Exit::Failed, why));
        }
    }

    fn study_object(&mut self, number: u64, studied: Studied) {
        let Studied { ticket, name, bytes, .. } = &studied;
        let asked = match self.node.question(*name, bytes.clone(), ticket.by()) {
            Ok(question) => self.study.ask(number, question).map_err(|gone| {
                // The loop ends when it looks there next.
                refused(code::FAILED, Exit::Failed, gone.to_string())
            }),
            Err(error) => Err(as_answer(*name, Err(error))),
        };
        match asked {
            Ok(()) => drop(self.unsealed.studied.insert(number, studied)),
            Err(answer) => self.answer_ticket(*ticket, answer),
        }
    }

    /// Stores what was worked out, and answers who sent it.
    pub(super) fn object_studied(&mut self, number: u64, learned: Result<Learned, NoMeaning>) {
        let Some(studied) = self.unsealed.studied.remove(&number) else { return };
        let stored = match learned {
            Ok(learned) if !self.node.is_current(&learned) => return self.study_object(number, studied),
            Ok(learned) => self.node.store(studied.name, learned, &studied.form, studied.ticket.by()),
            Err(error) => Err(error.into()),
        };
        if stored.is_ok() {
            self.steps.reach(Step::OrderObjects);
        }
        self.answer_ticket(studied.ticket, as_answer(studied.name, stored));
    }

    fn answer_ticket(&mut self, ticket: Ticket, answer: Answer) {
        match ticket {
            Ticket::Client(client) => self.connections.answer_later(client, &answer),
            Ticket::Courier(tier, number) => {
                let service = Service::Courier(tier);
                let told = ToCourier::Answer { number, answer };
                // One that is gone has nobody to tell any more; one that takes nothing is killed elsewhere.
                if self.services.send(&service, &told, &[], None).is_err() {
                    self.services.end_for(&service, "it does not take an answer");
                }
            }
        }
    }

    /// Custody is dead: it is asked again for what it has not sealed, and an opening begins anew.
    pub(super) fn objects_without_custody(&mut self) {
        self.unsealed.waiting.values_mut().for_each(|waiting| waiting.asked = false);
        self.opening = None;
    }

    /// The store is open late: first the objects in force are recalled.
    pub(super) fn begin_opening(&mut self, state: StoreState) {
        let mut rest = self.node.to_recall();
        // The directory is to be the first, and the last is taken first.
        rest.reverse();
        self.opening = Some(Opening { state, rest });
        self.recall_next();
    }

    fn recall_next(&mut self) {
        while let Some(opening) = &mut self.opening {
            let Some(name) = opening.rest.pop() else {
                self.store = opening.state;
                self.opening = None;
                self.node.recalled();
                return;
            };
            match self.have_opened(name) {
                Ok(()) => return,
                Err(why) => self.object_gone(name, &why),
            }
        }
    }

    fn have_opened(&mut self, name: Digest) -> Result<(), String> {
        let form = self.node.objects.form(&name).map_err(|error| chain(&error))?;
        let (tier, sealed) = parts(&form)?;
        let request = Request::Unseal { tier, name };
        self.custodian.ask_with(&mut self.services, Purpose::Recall(name), request, sealed, None)
    }

    /// Takes in an object in force that custody has opened.
    pub(super) fn object_opened(&mut self, name: Digest, reply: &Reply, object: &[u8]) {
        let recalled = if *reply == (Reply::Done {}) {
            self.node.recall(name, object.to_vec())
        } else {
            Err(format!("custody does not open it: {reply:?}"))
        };
        if let Err(why) = recalled {
            self.object_gone(name, &why);
        }
        self.recall_next();
    }

    fn object_gone(&mut self, name: Digest, why: &str) {
        self.warn("object-gone", format!("the boundary {name} admits nothing: {why}"));
    }
}

fn as_answer(name: Digest, stored: Result<(), NotStored>) -> Answer {
    match stored {
        Ok(()) => Answer::Stored { name },
        Err(NotStored::Object(error @ ObjectError::Full(_))) => {
            refused(code::DISK_FULL, Exit::Failed, chain(&error))
        }
        Err(NotStored::NoMeaning(error @ NoMeaning::Names(_))) => {
            refused(code::UNKNOWN_NAMES, Exit::Refused, chain(&error))
        }
        Err(NotStored::NoMeaning(error @ NoMeaning::Signer(_))) => {
            refused(code::WRONG_DIRECTORY, Exit::Refused, chain(&error))
        }
        Err(error) => refused(code::MALFORMED_OBJECT, Exit::Usage, chain(&error)),
    }
}
