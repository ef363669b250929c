//! The supervisor's side of couriers: one for each tier that has consoles. What a courier asks is confined to
//! its tier; what it costs is bounded: it has one call answered a turn, and none while it does not take its
//! answers. Nothing waits for one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use id::{Epoch, TierId};
use node_protocol::Frame;
use node_protocol::call::{Answer, Call, OWN_TIER, Warning, code};
use node_protocol::courier::{Begin, Console, FromCourier, ToCourier};
use os::clock::boot;
use tenure::{Procedure, effects};

use super::Supervisor;
use super::calls::refused;
use super::objects::Ticket;
use super::services::{NotSent, Service, Services};
use crate::failure::{Exit, chain};
use crate::reconcile::{Courier, Effect};
use crate::rights::{COURIERS_MAX, Role};
use crate::step::Step;

/// The program's name, beside this one's.
const PROGRAM: &str = "bmonitor-courier";
/// How often couriers are told how the node is.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// How long a courier may leave untaken what was sent to it.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a courier lives on to hand over the answer to its own tier's order that ends it, as a renewal.
const FAREWELL: Duration = Duration::from_millis(300);

/// What is known of the couriers beside what is observed.
#[derive(Debug)]
pub(super) struct Couriers {
    /// Opened at the start: what lies there later is not executed.
    program: Result<File, String>,
    each: BTreeMap<TierId, State>,
    status_at: Duration,
}

/// One courier.
#[derive(Debug, Default)]
struct State {
    /// Its number among couriers: its uid.
    slot: u32,
    /// What it asked and is not answered.
    asked: VecDeque<Frame>,
    /// Since when it has taken nothing of what was sent.
    stuck_since: Option<Duration>,
    /// An order of its own tier was answered.
    answered_at: Option<Duration>,
}

impl Couriers {
    /// Finds the program.
    pub(super) fn open() -> Self {
        let own = std::env::current_exe().map(|own| own.with_file_name(PROGRAM));
        let program = own.and_then(|path| {
            File::open(&path).map_err(|error| std::io::Error::new(error.kind(), path.display().to_string()))
        });
        let program = program.map_err(|error| chain(&error));
        Self { program, each: BTreeMap::new(), status_at: Duration::ZERO }
    }

    /// Whether there can be couriers.
    pub(super) const fn can_run(&self) -> bool {
        self.program.is_ok()
    }

    /// What somebody should know about the program.
    pub(super) fn warning(&self) -> Option<Warning> {
        let why = self.program.as_ref().err()?;
        let message = format!("no console is dialled: there is no {PROGRAM}: {why}");
        Some(Warning { code: "no-courier".to_owned(), message })
    }

    /// A courier said something: it is looked at when its turn comes.
    pub(super) fn said(&mut self, tier: TierId, frame: Frame) {
        if let Some(state) = self.each.get_mut(&tier) {
            state.asked.push_back(frame);
        }
    }

    /// How long until there is something to do.
    pub(super) fn wake_in(&self, services: &Services) -> Option<Duration> {
        if self.each.is_empty() {
            return None;
        }
        let ready = |(tier, state): (&TierId, &State)| {
            !state.asked.is_empty() && services.has_taken_all(&Service::Courier(*tier))
        };
        if self.each.iter().any(ready) {
            return Some(Duration::ZERO);
        }
        let farewells = self.each.values().filter_map(|state| state.answered_at).map(|at| at + FAREWELL);
        let farewells = farewells.filter(|at| *at > boot());
        farewells.chain([self.status_at]).min().map(|at| at.saturating_sub(boot()))
    }

    /// The program, as the uid of that slot.
    fn command(&self, slot: u32) -> Result<Command, String> {
        let program = self.program.as_ref().map_err(Clone::clone)?;
        let rights = Role::Courier.rights();
        let confinement = rights.confinement(rights.uid + slot, std::process::id());
        let confinement = serde_json::to_string(&confinement).map_err(|error| error.to_string())?;
        let mut command = Command::new(format!("/proc/self/fd/{}", program.as_raw_fd()));
        command.arg0(PROGRAM).env_clear().args(["--confinement", &confinement]);
        Ok(command)
    }

    fn free_slot(&self) -> Option<u32> {
        let taken: BTreeSet<u32> = self.each.values().map(|state| state.slot).collect();
        (0..COURIERS_MAX).find(|slot| !taken.contains(slot))
    }
}

impl Supervisor {
    /// Starts a tier's courier and tells it whom to dial. Gives whether it runs.
    pub(super) fn start_courier(&mut self, effect: Effect, tier: TierId, epoch: Epoch) -> bool {
        let service = Service::Courier(tier);
        if !self.services.may_start(&service) {
            return false;
        }
        // Custody that cannot be asked now is asked later: that is no failure of the courier.
        let Some(signer) = self.signer(tier, epoch) else { return false };
        let begun = self.begin_courier(&service, tier, epoch, signer.into());
        self.done_at_once(effect, begun)
    }

    fn begin_courier(
        &mut self,
        service: &Service,
        tier: TierId,
        epoch: Epoch,
        signer: OwnedFd,
    ) -> Result<(), String> {
        let world = effects(&self.node.tenure);
        let realm = world.realm(tier).ok_or("the tier is gone")?;
        let identity = *self.identities.get(&tier).ok_or("its identity is not known")?;
        let slot = self.couriers.free_slot().ok_or("there are as many couriers as there may be")?;
        self.services.start(service.clone(), self.couriers.command(slot)?);
        let begin = Begin { tier, epoch, identity, consoles: as_told(&realm.consoles) };
        if let Err(error) = self.services.send(service, &ToCourier::Begin(begin), &[], Some(signer)) {
            self.services.end(service);
            return Err(chain(&error));
        }
        self.couriers.each.insert(tier, State { slot, ..State::default() });
        self.observed.couriers.insert(tier, Courier { epoch, consoles: realm.consoles.clone() });
        // It is told how the node is at once.
        self.couriers.status_at = Duration::ZERO;
        Ok(())
    }

    pub(super) fn tell_consoles(&mut self, tier: TierId) -> Result<(), String> {
        let world = effects(&self.node.tenure);
        let realm = world.realm(tier).ok_or("the tier is gone")?;
        let told = ToCourier::Consoles(as_told(&realm.consoles));
        self.services.send(&Service::Courier(tier), &told, &[], None).map_err(|error| chain(&error))?;
        if let Some(courier) = self.observed.couriers.get_mut(&tier) {
            courier.consoles.clone_from(&realm.consoles);
        }
        Ok(())
    }

    /// Kills a tier's courier. One whose own tier ended it, as by a renewal, may hand over that answer first;
    /// whatever comes from above waits for nothing.
    pub(super) fn end_courier(&mut self, tier: TierId) {
        let concerned = |procedure: &&Procedure| procedure.part(tier).is_some();
        let from_above =
            self.node.tenure.procedures().filter(concerned).any(|procedure| procedure.by != tier);
        let answered_at = self.couriers.each.get(&tier).and_then(|state| state.answered_at);
        let says_farewell = answered_at.is_some_and(|at| boot() < at + FAREWELL);
        if from_above || !says_farewell {
            self.services.end(&Service::Courier(tier));
        }
    }

    /// A courier is dead and reaped, and its connections with it.
    pub(super) fn courier_ended(&mut self, tier: TierId) {
        self.couriers.each.remove(&tier);
        self.observed.couriers.remove(&tier);
        if effects(&self.node.tenure).realm(tier).is_none_or(|realm| !realm.courier) {
            self.steps.reach(Step::CourierGone);
        }
    }

    /// Answers what couriers ask, one call each, and tells them how the node is.
    pub(super) fn serve_couriers(&mut self) -> Result<(), journal::Error> {
        let tiers: Vec<TierId> = self.couriers.each.keys().copied().collect();
        for tier in &tiers {
            self.serve_courier(*tier)?;
        }
        if !tiers.is_empty() && self.couriers.status_at <= boot() {
            self.couriers.status_at = boot() + STATUS_EVERY;
            for tier in &tiers {
                self.tell_status(*tier);
            }
        }
        Ok(())
    }

    fn serve_courier(&mut self, tier: TierId) -> Result<(), journal::Error> {
        let service = Service::Courier(tier);
        if let Some(frame) = self.next_of(tier) {
            match frame.message() {
                Ok(FromCourier::Call { number, call }) => {
                    self.answer_courier(tier, number, call, frame.attachment)?;
                }
                Err(error) => self.services.end_for(&service, &chain(&error)),
            }
        }
        let waits = self.couriers.each.get(&tier).is_some_and(|state| !state.asked.is_empty());
        let taken = self.services.has_taken_all(&service);
        // Until it has been answered, and has taken the answers, nothing more is read.
        self.services.hold(&service, waits || !taken);
        Ok(())
    }

    /// What a courier is to be answered next. One that takes nothing for long is killed.
    fn next_of(&mut self, tier: TierId) -> Option<Frame> {
        let service = Service::Courier(tier);
        let state = self.couriers.each.get_mut(&tier)?;
        if self.services.has_taken_all(&service) {
            state.stuck_since = None;
            return state.asked.pop_front();
        }
        if boot() > *state.stuck_since.get_or_insert_with(boot) + PATIENCE {
            self.services.end_for(&service, "it takes nothing");
        }
        None
    }

    fn answer_courier(
        &mut self,
        tier: TierId,
        number: u64,
        call: Call,
        attachment: Vec<u8>,
    ) -> Result<(), journal::Error> {
        let submits = matches!(call, Call::SubmitOrder {});
        let answered = self.confined(Ticket::Courier(tier, number), tier, call, attachment)?;
        let Some((answer, attachment)) = answered else { return Ok(()) };
        let accepted = submits && matches!(answer, Answer::Accepted { .. });
        let service = Service::Courier(tier);
        let told = self.services.send(&service, &ToCourier::Answer { number, answer }, &attachment, None);
        match told {
            // It may be gone, and then so is who asked.
            Ok(()) | Err(NotSent::Absent) => {}
            Err(error @ (NotSent::Full | NotSent::TooLong)) => {
                self.services.end_for(&service, &chain(&error));
            }
        }
        if accepted && let Some(state) = self.couriers.each.get_mut(&tier) {
            state.answered_at = Some(boot());
        }
        if submits {
            self.steps.reach(Step::OrderAnswered);
            // What an order cuts is cut before the next one is read.
            self.advance()?;
        }
        Ok(())
    }

    /// Answers a call as the tier's consoles may make it. Orders and objects are taken as they come: authority
    /// is in the order.
    fn confined(
        &mut self,
        ticket: Ticket,
        tier: TierId,
        call: Call,
        attachment: Vec<u8>,
    ) -> Result<Option<(Answer, Vec<u8>)>, journal::Error> {
        let plain = |answer| (answer, Vec::new());
        Ok(Some(match call {
            Call::SubmitOrder {}
            | Call::PutObject { .. }
            | Call::ReadJournal { .. }
            | Call::Attach { .. } => {
                return self.answer(call, attachment, ticket);
            }
            Call::Status { settled: false } => plain(Answer::Status(Box::new(self.status_of(tier)))),
            Call::Status { settled: true } => plain(refused(
                code::NOT_YET,
                Exit::Failed,
                "the stream of statuses says when the node has settled",
            )),
            Call::Receipts { about } if about == OWN_TIER => self.receipts(&tier.to_string(), Some(tier)),
            Call::Receipts { about } => self.receipts(&about, Some(tier)),
            // A share of anybody else could lock the store for good.
            Call::GiveShare {} if self.node.tenure.root() == Some(tier) => plain(self.share(&attachment)),
            Call::GiveShare {} => {
                plain(refused(code::NOT_FOUND, Exit::NotFound, "a share is the root's to give"))
            }
            Call::FreshNonce { tier: of } if of == tier => plain(self.nonce(tier)),
            Call::FreshNonce { .. } => {
                plain(refused(code::NOT_FOUND, Exit::NotFound, "a console gets nonces for its own tier"))
            }
            Call::PutImage { tier: of, volume, image, offset } if of == tier => {
                plain(self.put_image((tier, &volume, image), offset, &attachment))
            }
            Call::Image { tier: of, volume, image } if of == tier => {
                plain(self.image_state(tier, &volume, image))
            }
            Call::EngineOutput { tier: of, engine } if of == tier => self.engine_output(tier, &engine),
            Call::PutImage { .. } | Call::Image { .. } | Call::EngineOutput { .. } => {
                plain(refused(code::NOT_FOUND, Exit::NotFound, "a console hears of its own tier's engines"))
            }
            Call::Explain { tier: of, packet } if of == tier => plain(self.explain(tier, Some(tier), packet)),
            Call::Denials { tier: of } if of == tier => plain(self.denials(tier, Some(tier))),
            Call::Passed { tier: of } if of == tier => plain(self.passed(tier)),
            Call::Explain { .. } | Call::Denials { .. } | Call::Passed { .. } => {
                plain(refused(code::NOT_FOUND, Exit::NotFound, "a console hears of its own tier's realm"))
            }
        }))
    }

    /// A courier that does not take this one gets the next one.
    fn tell_status(&mut self, tier: TierId) {
        let service = Service::Courier(tier);
        if !self.services.has_taken_all(&service) {
            return;
        }
        let status = self.status_of(tier);
        match self.services.send(&service, &ToCourier::Status(Box::new(status)), &[], None) {
            Ok(()) | Err(NotSent::Absent | NotSent::Full | NotSent::TooLong) => {}
        }
    }
}

/// The consoles as a courier is told.
fn as_told(consoles: &[tenure::Console]) -> Vec<Console> {
    let told = |console: &tenure::Console| Console {
        key: console.key,
        addresses: console.addresses.iter().map(|address| address.get()).collect(),
    };
    consoles.iter().map(told).collect()
}
