//! The supervisor's side of custody: it is started when something is asked of it, and again when it dies;
//! several requests may be open, each with a number and a deadline. Custody that does not answer in time is
//! killed, and whatever was asked of it is asked again. Nothing waits for it but what it alone can do.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use id::{Digest, Epoch, PublicKey, TierId, Time};
use keys::Addressee;
use node_protocol::Frame;
use os::clock::boot;
use os::poll::wait;

use super::heads::HeadAsked;
use super::services::{Event, Service, Services};
use super::start::Halt;
use super::{Supervisor, jobs};
use crate::config::Config;
use crate::custody::{self, Numbered, Protection, Reply, Request, StoreState};
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
    /// When custody last answered anything.
    heard: Duration,
}

#[derive(Debug)]
struct Asked {
    purpose: Purpose,
    at: Duration,
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
    /// That the store is opened: asked of each custody first.
    Open,
    /// That a share opens or locks the store.
    Share,
    /// The journal's head.
    Head(HeadAsked),
    /// That a sealed order is opened: one at a time of each tier whose courier brings them, and of the node's own
    /// socket.
    Order(Option<TierId>),
    /// An object, to be stored when it is sealed.
    Seal(u64),
    /// An object in force, of a store that was opened late or at the start.
    Recall(Digest),
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
        let deadlines = self.open.values().map(|asked| self.deadline(asked));
        deadlines.min().map(|at| at.saturating_sub(boot()))
    }

    /// Custody that has much to do answers one thing after the other: it lets go in time after the last of them.
    fn deadline(&self, asked: &Asked) -> Duration {
        match asked.purpose {
            Purpose::Forget(_) => asked.at.max(self.heard) + FORGETS_AT_MOST,
            Purpose::Effect(_)
            | Purpose::Courier(..)
            | Purpose::Node
            | Purpose::Open
            | Purpose::Share
            | Purpose::Head(_)
            | Purpose::Order(_)
            | Purpose::Seal(_)
            | Purpose::Recall(_) => asked.at + AT_MOST,
        }
    }

    /// Asks custody, which runs. Gives what went wrong otherwise; then it was not asked.
    pub(super) fn ask(
        &mut self,
        services: &mut Services,
        purpose: Purpose,
        request: Request,
        descriptor: Option<OwnedFd>,
    ) -> Result<(), String> {
        self.ask_with(services, purpose, request, &[], descriptor)
    }

    /// The same, with plain bytes.
    pub(super) fn ask_with(
        &mut self,
        services: &mut Services,
        purpose: Purpose,
        request: Request,
        attachment: &[u8],
        descriptor: Option<OwnedFd>,
    ) -> Result<(), String> {
        let number = self.last + 1;
        services
            .send(&Service::Custody, &Numbered { number, body: request }, attachment, descriptor)
            .map_err(|error| chain(&error))?;
        self.last = number;
        self.open.insert(number, Asked { purpose, at: boot() });
        Ok(())
    }

    /// What was answered, and what for. A reply that nobody waits for means that custody is not ours.
    pub(super) fn take(&mut self, frame: &Frame) -> Result<(Purpose, Reply), String> {
        let Numbered { number, body } = frame.message().map_err(|error| chain(&error))?;
        let asked = self.open.remove(&number).ok_or("it answers what nobody asked")?;
        self.heard = boot();
        Ok((asked.purpose, body))
    }

    /// Kills custody if something is overdue.
    pub(super) fn enforce_deadlines(&self, services: &mut Services) {
        if self.open.values().any(|asked| self.deadline(asked) <= boot()) {
            services.end_for(&Service::Custody, "it did not answer in time");
        }
    }

    /// Custody has ended: nothing is open any more.
    pub(super) fn custody_ended(&mut self) {
        self.open.clear();
    }
}

/// Starts custody, if it does not run and may be, and has it open its store. Gives whether it can be asked.
pub(super) fn is_there(
    services: &mut Services,
    custodian: &mut Custodian,
    config: &Config,
    steps: &Steps,
) -> bool {
    if services.may_start(&Service::Custody) {
        let mut command = jobs::command(Role::Custody, steps.hand_over(Role::Custody));
        command.arg("--folder").arg(config.state("custody"));
        services.start(Service::Custody, command);
        // A medium that is gone since the start: custody says what it lacks.
        let key_file = key_file(config).ok().flatten();
        let request = Request::Open { key_file: key_file.is_some() };
        if custodian.ask(services, Purpose::Open, request, key_file).is_err() {
            services.end_for(&Service::Custody, "it does not listen");
        }
    }
    services.listens(&Service::Custody)
}

/// At the start, when there is nothing else to do: custody runs, and its store is open or waits for its share.
pub(super) fn open_and_wait(
    services: &mut Services,
    custodian: &mut Custodian,
    config: &Config,
    steps: &Steps,
) -> Result<StoreState, Halt> {
    key_file(config).map_err(|source| Halt::KeyFile { path: shown(config), source })?;
    if !is_there(services, custodian, config, steps) {
        return Err(Halt::Custody(services.failures().join("; ")));
    }
    match wait_for(services, custodian, &Purpose::Open).map_err(Halt::Custody)?.0 {
        Reply::Store(state) => Ok(state),
        Reply::Shut { why } => Err(Halt::Shut(why)),
        Reply::Refused { why } => Err(Halt::Custody(why)),
        Reply::Public { .. }
        | Reply::Tier { .. }
        | Reply::Signed { .. }
        | Reply::Opened { .. }
        | Reply::Key { .. }
        | Reply::Done {} => Err(Halt::Custody(ELSE.to_owned())),
    }
}

/// Has custody, whose store is open, make the node's key, and waits for that.
pub(super) fn node_key_and_wait(
    services: &mut Services,
    custodian: &mut Custodian,
) -> Result<PublicKey, String> {
    custodian.ask(services, Purpose::Node, Request::Node {}, None)?;
    match wait_for(services, custodian, &Purpose::Node)?.0 {
        Reply::Public { key } => Ok(key),
        Reply::Refused { why } | Reply::Shut { why } => Err(why),
        Reply::Store(_)
        | Reply::Tier { .. }
        | Reply::Signed { .. }
        | Reply::Opened { .. }
        | Reply::Key { .. }
        | Reply::Done {} => Err(ELSE.to_owned()),
    }
}

/// Has custody open an object, and waits for it: at the start.
pub(super) fn unseal_and_wait(
    services: &mut Services,
    custodian: &mut Custodian,
    tier: TierId,
    name: Digest,
    sealed: &[u8],
) -> Result<Vec<u8>, String> {
    let request = Request::Unseal { tier, name };
    custodian.ask_with(services, Purpose::Recall(name), request, sealed, None)?;
    match wait_for(services, custodian, &Purpose::Recall(name))? {
        (Reply::Done {}, object) => Ok(object),
        (Reply::Refused { why } | Reply::Shut { why }, _) => Err(why),
        (
            Reply::Store(_)
            | Reply::Public { .. }
            | Reply::Tier { .. }
            | Reply::Opened { .. }
            | Reply::Key { .. }
            | Reply::Signed { .. },
            _,
        ) => Err(ELSE.to_owned()),
    }
}

const ELSE: &str = "it answered something else";

fn wait_for(
    services: &mut Services,
    custodian: &mut Custodian,
    purpose: &Purpose,
) -> Result<(Reply, Vec<u8>), String> {
    while services.is_running(&Service::Custody) {
        wait(&services.descriptors(), custodian.wake_in()).map_err(|error| error.to_string())?;
        for event in services.turn() {
            match event {
                Event::Said(_, frame) => {
                    let (asked, reply) = custodian.take(&frame)?;
                    if asked == *purpose {
                        return Ok((reply, frame.attachment));
                    }
                }
                Event::Ended(_) => custodian.custody_ended(),
            }
        }
        custodian.enforce_deadlines(services);
    }
    Err(services.failures().join("; "))
}

/// The key file, opened for custody. One that is not there is made, empty, where custody's store is to be made;
/// the folder must be on another medium than the store.
fn key_file(config: &Config) -> io::Result<Option<OwnedFd>> {
    let Some(path) = &config.key_file else { return Ok(None) };
    let device = |path: &Path| Ok::<_, io::Error>(fs::metadata(path)?.dev());
    let folder = path.parent().unwrap_or(path);
    if device(folder)? == device(&config.state)? {
        return Err(io::Error::other("it is on the medium that it is to protect"));
    }
    let mut options = OpenOptions::new();
    match options.read(true).write(true).open(path) {
        Ok(file) => Ok(Some(file.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if custody::has_storage_key(&config.state("custody"))? {
                return Ok(None);
            }
            let made = options.create_new(true).mode(0o600).open(path)?;
            File::open(folder)?.sync_all()?;
            Ok(Some(made.into()))
        }
        // A medium that nobody writes any more is as it should be.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => Ok(Some(File::open(path)?.into())),
        Err(error) => Err(error),
    }
}

fn shown(config: &Config) -> String {
    config.key_file.as_ref().map(|path| path.display().to_string()).unwrap_or_default()
}

impl Supervisor {
    /// Asks custody for what an effect needs. Where custody cannot be asked now, the effect stays wanted.
    pub(super) fn ask_for(&mut self, effect: Effect, request: Request, descriptor: Option<OwnedFd>) {
        if !is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
            return;
        }
        let purpose = Purpose::Effect(effect.clone());
        if let Err(why) = self.custodian.ask(&mut self.services, purpose, request, descriptor) {
            self.jobs.fail(effect, why);
        }
    }

    /// Hands a sealed share on to custody.
    pub(super) fn hand_share(&mut self, sealed: &[u8]) -> Result<(), String> {
        let tenure = &self.node.tenure;
        let root = tenure.root().and_then(|root| Some((root, tenure.tier(root)?.epoch)));
        let ((root, epoch), node) = root.zip(tenure.node()).ok_or("the node has no root")?;
        if sealed.len() != keys::SEALED_SHARE_BYTES {
            return Err(format!("a sealed share has {} bytes", keys::SEALED_SHARE_BYTES));
        }
        if !is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
            return Err("custody cannot be asked now".to_owned());
        }
        let request = Request::Share { node, root, epoch };
        self.custodian.ask_with(&mut self.services, Purpose::Share, request, sealed, None)
    }

    /// Hands a sealed order on to custody. Who brings many waits for the one before: nobody else does.
    pub(super) fn hand_order(
        &mut self,
        by: Option<TierId>,
        to: &Addressee,
        at: Time,
        sealed: &[u8],
    ) -> Result<(), String> {
        if self.custodian.asks(|purpose| *purpose == Purpose::Order(by)) {
            return Err("another sealed order that came this way is being opened".to_owned());
        }
        if !is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
            return Err("custody cannot be asked now".to_owned());
        }
        let Addressee { node, tier, epoch } = *to;
        let request = Request::Order { node, tier, epoch, at };
        self.custodian.ask_with(&mut self.services, Purpose::Order(by), request, sealed, None)
    }

    /// A stream on which custody signs handshakes of a tier's courier; none where custody cannot be asked now,
    /// or has no identity of that epoch: then the stream is at its end.
    pub(super) fn signer(&mut self, tier: TierId, epoch: Epoch) -> Option<UnixStream> {
        if !is_there(&mut self.services, &mut self.custodian, &self.config, &self.steps) {
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
            (Purpose::Open | Purpose::Share, Reply::Store(state)) => self.store_is(state),
            (Purpose::Head(asked), reply) => {
                if let Err(why) = self.take_head(asked, reply) {
                    self.warn("head", why);
                }
            }
            (Purpose::Seal(number), reply) => self.object_sealed(number, &reply, &frame.attachment),
            (Purpose::Recall(name), reply) => self.object_opened(name, &reply, &frame.attachment),
            (Purpose::Open, Reply::Shut { why }) => self.services.end_for(&Service::Custody, &why),
            (Purpose::Share, Reply::Refused { why }) => self.warn("share", why),
            (Purpose::Order(_), Reply::Opened { envelope }) => self.opened.push(envelope),
            (Purpose::Order(_), Reply::Refused { why }) => self.warn("sealed-order", why),
            (Purpose::Forget(_), Reply::Done {}) | (Purpose::Courier(..) | Purpose::Node, _) => {}
            (Purpose::Open | Purpose::Share | Purpose::Order(_) | Purpose::Forget(_), _) => {
                self.services.end_for(&Service::Custody, ELSE);
            }
        }
    }

    /// A store that was opened late knows only now which journal is this node's.
    fn store_is(&mut self, state: StoreState) {
        match super::heads::is_own(&self.node, state.kept.as_ref()) {
            Ok(()) if state.open && !self.store.open => self.begin_opening(state),
            Ok(()) => self.store = state,
            Err(halt) => self.foreign = Some(halt),
        }
    }

    /// Custody is dead: what was asked of it is asked again, as far as it is wanted.
    pub(super) fn custody_ended(&mut self) {
        self.custodian.custody_ended();
        // The next one waits for its share: what only an open store can do is not asked of it before.
        self.store.open &= self.store.protection != Protection::Share;
        self.forget_heads_asked();
        self.objects_without_custody();
        self.look_at_secrets();
    }
}
