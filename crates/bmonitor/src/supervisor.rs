//! The supervisor: one loop over what has arrived. It never waits for a client, a helper or custody; no
//! turn takes over 100 ms beside fsync: what large boundaries mean is worked out beside it.
//!
//! ```text
//! call ─▶ verify ─▶ decide ─▶ record, fsync ─▶ apply ─▶ answer ─▶ reconcile ─▶ at once: cut, unlink, tell
//!                                                         ▲            └─────▶ helper, services (custody, couriers)
//!                                                         └─ outcome ◀────────────────┘
//! ```

mod addresses;
mod calls;
mod connections;
mod couriers;
mod custodian;
mod denials;
mod documents;
mod engines;
mod explain;
mod heads;
mod jobs;
mod objects;
mod passed;
mod sealed;
mod services;
mod start;
mod status;
mod volumes;
mod world;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use datapath::Filter;
use id::{Generation, Name, TierId, Time};
use keys::{PublicKey, SealingKey};
use node_protocol::call::{Call, Warning};
use os::signal::{Arrived, Signals};
use tenure::{Input, effects};
use thiserror::Error;

use self::addresses::Addresses;
use self::connections::Connections;
use self::couriers::Couriers;
use self::custodian::Custodian;
use self::documents::Documents;
use self::engines::{Engines, Images};
use self::heads::Heads;
use self::jobs::Jobs;
use self::objects::{Opening, Ticket, Unsealed};
use self::passed::Flows;
use self::services::{Event, Service, Services};
use self::start::Halt;
pub(crate) use self::start::start;
use crate::clock::until;
use crate::config::Config;
use crate::custody::StoreState;
use crate::failure::chain;
use crate::node::Node;
use crate::reconcile::Observed;
use crate::sets::{Learned, NoMeaning, Question};
use crate::step::Steps;
use crate::study::{Gone, Study};

/// The longest wait: a clock that was set forward is noticed after it at the latest.
const WAIT_AT_MOST: Duration = Duration::from_secs(60);

/// The supervisor's whole state.
pub(crate) struct Supervisor {
    config: Config,
    steps: Steps,
    signals: Signals,
    node: Node,
    node_key: PublicKey,
    observed: Observed,
    filters: BTreeMap<Name, Filter>,
    generations: BTreeMap<Name, Generation>,
    identities: BTreeMap<TierId, PublicKey>,
    sealing_keys: BTreeMap<TierId, SealingKey>,
    documents: Documents,
    jobs: Jobs,
    services: Services,
    custodian: Custodian,
    couriers: Couriers,
    engines: Engines,
    images: Images,
    store: StoreState,
    heads: Heads,
    unsealed: Unsealed,
    study: Study<Question, Result<Learned, NoMeaning>>,
    flows: Flows,
    opening: Option<Opening>,
    /// Why the journal is not this node's, as a store that was opened late says.
    foreign: Option<Halt>,
    addresses: Addresses,
    connections: Connections,
    refusals: denials::Refusals,
    warned: Vec<Warning>,
    forged: u64,
    /// Orders that custody has unsealed.
    opened: Vec<String>,
    settled: bool,
    swept_at: u64,
    /// A lapse that the disk has no room for is told again then; the kernel closed the realm by itself.
    lapse_not_before: Duration,
}

/// Why the supervisor ended by itself. Every realm was closed before.
#[derive(Debug, Error)]
pub(crate) enum Ended {
    /// What is on the disk is not known any more.
    #[error("the journal failed")]
    Journal(#[from] journal::Error),
    /// The journal was put back.
    #[error(transparent)]
    Foreign(Box<Halt>),
    /// Boundaries are not worked out any more, or flows not looked at.
    #[error(transparent)]
    Study(#[from] Gone),
    /// The kernel does not let it wait.
    #[error("waiting failed")]
    Wait(#[source] io::Error),
}

impl Supervisor {
    /// Runs until it is told to end. The data path stays as it is then, deadlines included; after an error
    /// it is closed.
    pub(crate) fn run(&mut self) -> Result<(), Ended> {
        let ended = self.turns();
        if ended.is_err() {
            self.close_all();
        }
        ended
    }

    fn turns(&mut self) -> Result<(), Ended> {
        self.advance()?;
        self.begin_records();
        self.begin_refusals();
        loop {
            self.wait()?;
            if self.told_to_end()? {
                return Ok(());
            }
            self.lapse()?;
            let ended = self.jobs.turn();
            self.take_in(ended);
            self.hear();
            for (number, learned) in self.study.turn()? {
                self.object_studied(number, learned);
            }
            self.attend_flows()?;
            if let Some(halt) = self.foreign.take() {
                return Err(Ended::Foreign(Box::new(halt)));
            }
            self.obey_opened()?;
            self.serve()?;
            self.serve_couriers()?;
            self.advance()?;
            self.begin_records();
            self.begin_refusals();
            self.attend_engines();
            self.when_settled();
        }
    }

    fn wait(&self) -> Result<(), Ended> {
        let mut descriptors = vec![(std::os::fd::AsFd::as_fd(&self.signals), os::poll::Wanted::READ)];
        descriptors.extend(self.connections.descriptors());
        descriptors.extend(self.jobs.descriptors());
        descriptors.extend(self.services.descriptors());
        descriptors.extend(self.engines.descriptors());
        descriptors.push((self.study.descriptor(), os::poll::Wanted::READ));
        descriptors.push((self.flows.descriptor(), os::poll::Wanted::READ));
        let wakes = [
            self.connections.wake_in(),
            self.jobs.wake_in(),
            self.services.wake_in(),
            self.custodian.wake_in(),
            self.couriers.wake_in(&self.services),
            self.addresses.wake_in(),
            self.engines.wake_in(),
            self.images.wake_in(),
            self.flows.wake_in(!self.filters.is_empty()),
            self.next_term_in(),
        ];
        let at_most = wakes.into_iter().flatten().fold(WAIT_AT_MOST, Duration::min);
        os::poll::wait(&descriptors, Some(at_most)).map(drop).map_err(Ended::Wait)
    }

    fn next_term_in(&self) -> Option<Duration> {
        let mut clock = self.node.clock;
        let now = clock.now(os::clock::wall(), os::clock::boot());
        let pause = self.lapse_not_before.saturating_sub(os::clock::boot());
        effects(&self.node.tenure).wake_at.map(|term| until(now, term).max(pause))
    }

    fn told_to_end(&self) -> Result<bool, Ended> {
        let mut told = false;
        while let Some(arrived) = self.signals.next().map_err(Ended::Wait)? {
            told |= matches!(arrived, Arrived::Terminate | Arrived::Interrupt);
        }
        Ok(told)
    }

    /// Puts on record that a term began or ended, or that a trial is over.
    fn lapse(&mut self) -> Result<(), Ended> {
        let now: Time = self.node.now();
        let over = effects(&self.node.tenure).wake_at.is_some_and(|term| term <= now);
        if !over || os::clock::boot() < self.lapse_not_before {
            return Ok(());
        }
        let (filters, observed) = (&mut self.filters, &mut self.observed);
        let brace = |coming: &tenure::Tenure| world::brace(filters, observed, now, coming);
        match self.node.submit_braced(Input::Lapse { at: now }, &self.steps, brace) {
            Err(error @ (journal::Error::Full(_) | journal::Error::SegmentFull)) => {
                self.lapse_not_before = os::clock::boot() + LAPSE_PAUSE;
                self.warn("disk-full", format!("a term's end cannot be recorded: {}", chain(&error)));
                Ok(())
            }
            ended => Ok(ended.map(drop)?),
        }
    }

    /// Takes in what the children that live long say, and that they have ended.
    fn hear(&mut self) {
        self.custodian.enforce_deadlines(&mut self.services);
        self.images.enforce_deadlines(&mut self.services);
        for event in self.services.turn() {
            match event {
                Event::Said(Service::Custody, frame) => self.custody_said(&frame),
                Event::Ended(Service::Custody) => self.custody_ended(),
                Event::Said(Service::Courier(tier), frame) => self.couriers.said(tier, frame),
                Event::Ended(Service::Courier(tier)) => self.courier_ended(tier),
                Event::Said(Service::Dhcp, frame) => self.dhcp_said(&frame),
                Event::Ended(Service::Dhcp) => self.dhcp_ended(),
                Event::Said(Service::Launcher, _) | Event::Ended(Service::Launcher) => {}
                Event::Said(Service::Unpacker(unpacks), frame) => self.unpacker_said(&unpacks, &frame),
                Event::Ended(Service::Unpacker(unpacks)) => self.unpacker_ended(&unpacks),
            }
        }
    }

    fn serve(&mut self) -> Result<(), Ended> {
        for mut asked in self.connections.turn() {
            let attachment = std::mem::take(&mut asked.attachment);
            let submits = matches!(asked.call, Call::SubmitOrder {});
            let ticket = Ticket::Client(self.connections.id(&asked));
            match self.answer(asked.call.clone(), attachment, ticket)? {
                Some((answer, attachment)) => self.connections.answer(&asked, &answer, &attachment),
                None if matches!(asked.call, Call::PutObject { .. }) => self.connections.busy(&asked),
                None => self.connections.park(&asked),
            }
            if submits {
                self.steps.reach(crate::step::Step::OrderAnswered);
                // What an order cuts is cut before the next one is read.
                self.advance()?;
            }
        }
        self.connections.sweep();
        Ok(())
    }

    fn when_settled(&mut self) {
        if !self.settled {
            return;
        }
        if self.connections.somebody_waits() {
            let status = self.status();
            self.connections.answer_waiting(&status);
        }
        let (record, _digest) = self.node.journal.head();
        if record != self.swept_at {
            self.swept_at = record;
            if let Err(error) = self.node.sweep_objects() {
                self.warn(
                    "objects",
                    format!("objects that nobody names cannot be removed: {}", chain(&error)),
                );
            }
        }
    }

    fn warn(&mut self, code: &str, message: String) {
        let warning = Warning { code: code.to_owned(), message };
        if !self.warned.contains(&warning) && self.warned.len() < WARNINGS_MAX {
            self.warned.push(warning);
        }
    }

    /// Fails closed.
    fn close_all(&mut self) {
        for filter in self.filters.values_mut() {
            // Whatever the error: the supervisor ends with one already, and the kernel's deadline stands.
            filter.cut().unwrap_or_default();
        }
    }
}

/// How long the end of a term waits for room on the disk.
const LAPSE_PAUSE: Duration = Duration::from_secs(5);
/// Warnings that are kept.
const WARNINGS_MAX: usize = 32;
