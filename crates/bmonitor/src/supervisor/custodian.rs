//! The supervisor's side of custody: it is started when something is asked of it, and again when it dies;
//! several requests may be open, each with a number and a deadline. Custody that does not answer in time is
//! killed, and whatever was asked of it is asked again. Nothing waits for it but what it alone can do.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use id::{Epoch, TierId};
use node_protocol::Frame;
use os::clock::boot;
use os::poll::wait;

use super::services::{Event, Service, Services};
use super::{Supervisor, jobs};
use crate::config::Config;
use crate::custody::{Numbered, Reply, Request};
use crate::failure::chain;
use crate::reconcile::Effect;
use crate::rights::Role;
use crate::step::Steps;

/// How long custody may take for anything: it waits for the disk alone.
const AT_MOST: Duration = Duration::from_secs(10);
/// How long custody may take to let go of what a severing ends, before it is killed for that.
const FORGETS_AT_MOST: Duration = Duration::from_secs(1);

/// What was asked of custody and is not answered.
#[derive(Debug, Default)]
pub(super) struct Custodian {
    last: u64,
    open: BTreeMap<u64, Asked>,
}

#[derive(Debug)]
struct Asked {
    purpose: Purpose,
    deadline: Duration,
}

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    /// An effect: it fails when custody refuses, and is asked again when custody dies.
    Effect(Effect),
    /// That custody lets go of a tier. Custody that is dead has.
    Forget(TierId),
    /// That a courier is served. It sees its stream's end when it is not.
    Courier(TierId, Epoch),
    /// The node's key, at the first start.
    Node,
}

impl Custodian {
    /// Whether something is asked that `which` names.
    pub(super) fn asks(&self, which: impl Fn(&Purpose) -> bool) -> bool {
        self.open.values().any(|asked| which(&asked.purpose))
    }

    /// Whether nothing is open that the journal demands.
    pub(super) fn is_idle(&self) -> bool {
        !self.asks(|purpose| matches!(purpose, Purpose::Effect(_) | Purpose::Forget(_)))
    }

    /// How long until something is overdue.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        self.open.values().map(|asked| asked.deadline).min().map(|at| at.saturating_sub(boot()))
    }

    /// Asks custody, which runs. Gives what went wrong otherwise; then it was not asked.
    pub(super) fn ask(
        &mut self,
        services: &mut Services,
        purpose: Purpose,
        request: Request,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), String> {
        let at_most = if matches!(purpose, Purpose::Forget(_)) { FORGETS_AT_MOST } else { AT_MOST };
        let number = self.last + 1;
        services
            .send(&Service::Custody, &Numbered { number, body: request }, &[], descriptor)
            .map_err(|error| chain(&error))?;
        self.last = number;
        self.open.insert(number, Asked { purpose, deadline: boot() + at_most });
        Ok(())
    }

    /// What was answered, and what for. A reply that nobody waits for means that custody is not ours.
    pub(super) fn take(&mut self, frame: &Frame) -> Result<(Purpose, Reply), String> {
        let Numbered { number, body } = frame.message().map_err(|error| chain(&error))?;
        let asked = self.open.remove(&number).ok_or("it answers what nobody asked")?;
        Ok((asked.purpose, body))
    }

    /// Kills custody if something is overdue.
    pub(super) fn enforce_deadlines(&self, services: &mut Services) {
        if self.open.values().any(|asked| asked.deadline <= boot()) {
            services.end_for(&Service::Custody, "it did not answer in time");
        }
    }

    /// Custody has ended: nothing is open any more.
    pub(super) fn custody_ended(&mut self) {
        self.open.clear();
    }
}

/// Starts custody, if it does not run and may be. Gives whether it can be asked.
pub(super) fn is_there(services: &mut Services, config: &Config, steps: &Steps) -> bool {
    if services.may_start(&Service::Custody) {
        let mut command = jobs::command(Role::Custody, steps.hand_over(Role::Custody));
        command.arg("--folder").arg(config.state("custody"));
        services.start(Service::Custody, command);
    }
    services.listens(&Service::Custody)
}

/// Asks custody one thing and waits for it: at the first start, when there is nothing else to do.
pub(super) fn ask_and_wait(config: &Config, request: Request, steps: &Steps) -> Result<Reply, String> {
    let (mut services, mut custodian) = (Services::default(), Custodian::default());
    let mut reply = Err("it does not start".to_owned());
    if is_there(&mut services, config, steps) {
        reply = custodian.ask(&mut services, Purpose::Node, request, None).map(|()| None);
    }
    while services.is_running(&Service::Custody) {
        wait(&services.descriptors(), custodian.wake_in()).map_err(|error| error.to_string())?;
        for event in services.turn() {
            if let Event::Said(_, frame) = event {
                reply = custodian.take(&frame).map(|(_purpose, reply)| Some(reply));
                services.end(&Service::Custody);
            }
        }
        custodian.enforce_deadlines(&mut services);
    }
    reply?.ok_or_else(|| services.failures().join("; "))
}

impl Supervisor {
    /// Asks custody for what an effect needs. Where custody cannot be asked now, the effect stays wanted.
    pub(super) fn ask_for(&mut self, effect: Effect, request: Request) {
        if !is_there(&mut self.services, &self.config, &self.steps) {
            return;
        }
        let purpose = Purpose::Effect(effect.clone());
        if let Err(why) = self.custodian.ask(&mut self.services, purpose, request, None) {
            self.jobs.fail(effect, why);
        }
    }

    /// A stream on which custody signs handshakes of a tier's courier; none where custody cannot be asked now,
    /// or has no identity of that epoch: then the stream is at its end.
    pub(super) fn signer(&mut self, tier: TierId, epoch: Epoch) -> Option<UnixStream> {
        if !is_there(&mut self.services, &self.config, &self.steps) {
            return None;
        }
        let (here, there) = UnixStream::pair().ok()?;
        // Custody waits for no courier.
        there.set_nonblocking(true).ok()?;
        let (purpose, request) = (Purpose::Courier(tier, epoch), Request::Courier { tier, epoch });
        self.custodian.ask(&mut self.services, purpose, request, Some(there.into())).ok()?;
        Some(here)
    }

    /// Has custody let go of a tier whose secrets are unlinked. Custody that cannot be asked is killed: it
    /// keeps nothing then.
    pub(super) fn have_forgotten(&mut self, tier: TierId, last: Option<Epoch>) {
        if !self.services.is_running(&Service::Custody) {
            return;
        }
        let request = Request::Forget { tier, last };
        if self.custodian.ask(&mut self.services, Purpose::Forget(tier), request, None).is_err() {
            self.services.end(&Service::Custody);
        }
    }

    /// Takes in what custody says.
    pub(super) fn custody_said(&mut self, frame: &Frame) {
        let (purpose, reply) = match self.custodian.take(frame) {
            Ok(taken) => taken,
            Err(why) => return self.services.end_for(&Service::Custody, &why),
        };
        match (purpose, reply) {
            (Purpose::Effect(effect), reply) => match self.take_from_custody(&effect, reply) {
                Ok(()) => self.jobs.succeed(&effect),
                Err(why) => self.after_failure(effect, why),
            },
            (Purpose::Forget(_), Reply::Done {}) | (Purpose::Courier(..) | Purpose::Node, _) => {}
            (Purpose::Forget(_), Reply::Public { .. } | Reply::Signed { .. } | Reply::Refused { .. }) => {
                self.services.end_for(&Service::Custody, "it does not let go of a tier");
            }
        }
    }

    /// Custody is dead: what was asked of it is asked again, as far as it is wanted.
    pub(super) fn custody_ended(&mut self) {
        self.custodian.custody_ended();
        self.look_at_secrets();
    }
}
