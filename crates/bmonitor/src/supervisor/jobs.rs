//! Helpers at work: started with one request, watched, killed at their deadline, reaped; and what failed,
//! by whomever it was to be done.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Command;
use std::time::Duration;

use os::child::{Child, ending};
use os::clock::boot;
use os::poll::Wanted;
use serde::Serialize;

use crate::reconcile::Effect;
use crate::rights::Role;
use crate::step::DieAt;

/// Helpers that make realms and load policies at once. What a severing needs never waits for them.
const MAKERS_MAX: usize = 4;
/// The longest reply.
const REPLY_BYTES_MAX: usize = 512 * 1024;
/// The first wait before an effect that failed is tried again, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// One process at work.
#[derive(Debug)]
struct Job {
    child: Child,
    deadline: Duration,
    overdue: bool,
    /// What it has not taken yet of its request.
    request: Vec<u8>,
    reply: Vec<u8>,
}

/// A job that has ended: its effect, and its reply or what went wrong.
pub(super) type Ended = (Effect, Result<Vec<u8>, String>);

/// All processes at work, by what they do, and the effects that wait after a failure.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    running: BTreeMap<Effect, Job>,
    failed: BTreeMap<Effect, Failed>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    again_at: Duration,
    why: String,
}

impl Jobs {
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    pub(super) fn running(&self) -> impl Iterator<Item = &Effect> {
        self.running.keys()
    }

    /// Whether the effect may be begun: it is not under way, does not wait, and there is a place.
    pub(super) fn may_start(&self, effect: &Effect) -> bool {
        let makes = |effect: &Effect| {
            matches!(
                effect,
                Effect::RealmUp(_) | Effect::Policy(..) | Effect::AttachVolume(..) | Effect::OpenVolume(..)
            )
        };
        let full = makes(effect) && self.running.keys().filter(|effect| makes(effect)).count() >= MAKERS_MAX;
        !self.running.contains_key(effect) && !full && self.may_try(effect)
    }

    /// Whether the effect does not wait after a failure.
    pub(super) fn may_try(&self, effect: &Effect) -> bool {
        self.failed.get(effect).is_none_or(|failed| failed.again_at <= boot())
    }

    /// Starts a process for an effect.
    pub(super) fn start(
        &mut self,
        effect: Effect,
        command: Command,
        request: &impl Serialize,
        at_most: Duration,
    ) {
        match start(command, request) {
            Ok((child, request)) => {
                let deadline = boot() + at_most;
                let mut job = Job { child, deadline, overdue: false, request, reply: Vec::new() };
                job.write();
                self.running.insert(effect, job);
            }
            Err(error) => self.fail(effect, format!("cannot start a process: {error}")),
        }
    }

    /// Kills the processes whose effects are named; they are reaped when they have ended.
    pub(super) fn kill(&self, which: impl Fn(&Effect) -> bool) {
        for (effect, job) in &self.running {
            if which(effect) {
                // What cannot be killed is caught by its deadline.
                job.child.kill().unwrap_or_default();
            }
        }
    }

    /// An effect failed: it waits, longer each time.
    pub(super) fn fail(&mut self, effect: Effect, why: String) {
        let times = self.failed.get(&effect).map_or(0, |failed| failed.times).saturating_add(1);
        let pause = PAUSE_FIRST.saturating_mul(1 << times.min(6)).min(PAUSE_MAX);
        self.failed.insert(effect, Failed { times, again_at: boot() + pause, why });
    }

    /// An effect is done: what failed before is forgotten.
    pub(super) fn succeed(&mut self, effect: &Effect) {
        self.failed.remove(effect);
    }

    /// Forgets failures of effects that are wanted no more.
    pub(super) fn forget_all_but(&mut self, wanted: &[Effect]) {
        self.failed.retain(|effect, _failed| wanted.contains(effect));
    }

    /// What fails, in words.
    pub(super) fn failures(&self) -> Vec<String> {
        let told = self.failed.iter();
        told.map(|(effect, failed)| {
            format!("{}: {} (tried {} times)", name(effect), failed.why, failed.times)
        })
        .collect()
    }

    /// How long until something is overdue or may be tried again.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let deadlines = self.running.values().filter(|job| !job.overdue).map(|job| job.deadline);
        let pauses = self.failed.iter().filter(|(effect, _)| !self.running.contains_key(effect));
        let pauses = pauses.map(|(_, failed)| failed.again_at).filter(|at| *at > boot());
        deadlines.chain(pauses).min().map(|at| at.saturating_sub(boot()))
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, Wanted)> {
        let each = self.running.values();
        each.flat_map(|job| [(job.child.ended(), Wanted::READ), (job.child.stream.as_fd(), job.wanted())])
            .collect()
    }

    /// Reads what has arrived, kills what is overdue, reaps what has ended.
    pub(super) fn turn(&mut self) -> Vec<Ended> {
        let mut over = Vec::new();
        for (effect, job) in &mut self.running {
            job.write();
            job.read();
            if !job.overdue && job.deadline <= boot() {
                job.overdue = true;
                job.child.kill().unwrap_or_default();
            }
            if let Some(result) = job.reap() {
                over.push((effect.clone(), result));
            }
        }
        for (effect, _result) in &over {
            self.running.remove(effect);
        }
        over
    }
}

impl Job {
    /// Gives it as much of its request as it takes now, then the end.
    fn write(&mut self) {
        while !self.request.is_empty() {
            match self.child.stream.write(&self.request) {
                Ok(taken) => drop(self.request.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // It ends without its request, and says so when it is reaped.
                Err(_) => self.request.clear(),
            }
            if self.request.is_empty() {
                self.child.stream.shutdown(Shutdown::Write).unwrap_or_default();
            }
        }
    }

    fn wanted(&self) -> Wanted {
        Wanted { read: true, write: !self.request.is_empty() }
    }

    fn read(&mut self) {
        let mut part = [0; 16 * 1024];
        while self.reply.len() <= REPLY_BYTES_MAX {
            match self.child.stream.read(&mut part) {
                Ok(0) | Err(_) => break,
                Ok(length) => self.reply.extend_from_slice(part.get(..length).unwrap_or_default()),
            }
        }
    }

    fn reap(&mut self) -> Option<Result<Vec<u8>, String>> {
        let status = match self.child.reap() {
            Ok(None) => return None,
            Ok(Some(status)) => status,
            Err(error) => return Some(Err(format!("it cannot be reaped: {error}"))),
        };
        self.read();
        Some(if self.overdue {
            Err("it did not end in time".to_owned())
        } else if status.success() {
            Ok(std::mem::take(&mut self.reply))
        } else {
            Err(format!("it ended with {}", ending(status)))
        })
    }
}

/// This program again, in another role.
pub(super) fn command(role: Role, die_at: Option<DieAt>) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.env_clear().arg(role.to_string()).args(["--parent", &std::process::id().to_string()]);
    if let Some(die_at) = die_at {
        command.args(["--die-at", &die_at.to_string()]);
    }
    command
}

fn start(command: Command, request: &impl Serialize) -> io::Result<(Child, Vec<u8>)> {
    let request = serde_json::to_vec(request)?;
    Ok((Child::start(command)?, request))
}

/// What an effect is called in messages.
pub(super) fn name(effect: &Effect) -> String {
    match effect {
        Effect::Cut(realm) => format!("cutting realm {realm}"),
        Effect::UnlinkVolume(key) => {
            format!("unlinking the salt of volume {} of tier {}", key.number, key.tier)
        }
        Effect::CloseVolume(key) => format!("closing volume {} of tier {}", key.number, key.tier),
        Effect::RemoveVolume(key) => format!("removing volume {} of tier {}", key.number, key.tier),
        Effect::AttachVolume(key, _) => format!("making volume {} of tier {}", key.number, key.tier),
        Effect::GiveKey(key) => {
            format!("giving the kernel the key of volume {} of tier {}", key.number, key.tier)
        }
        Effect::OpenVolume(key, _) => format!("opening volume {} of tier {}", key.number, key.tier),
        Effect::Rewrap(key, _) => format!("wrapping volume {} of tier {} anew", key.number, key.tier),
        Effect::UnlinkSecrets(tier, ..) => format!("unlinking the secrets of tier {tier}"),
        Effect::Tell(_, step, _) => format!("recording the step {step}"),
        Effect::Open(realm, _) => format!("opening realm {realm}"),
        Effect::Kill(_, _) => "killing the processes of a severed realm".to_owned(),
        Effect::RealmDown(realm) => format!("removing realm {realm}"),
        Effect::RealmUp(realm) => format!("making realm {realm}"),
        Effect::Policy(realm, _) => format!("loading the policy of realm {realm}"),
        Effect::EndCourier(tier) => format!("ending the courier of tier {tier}"),
        Effect::StartCourier(tier, _) => format!("starting the courier of tier {tier}"),
        Effect::TellConsoles(tier) => format!("telling the courier of tier {tier} its consoles"),
        Effect::MakeIdentity(tier, _) => format!("making an identity for tier {tier}"),
        Effect::Sign(_, _) => "signing a receipt or statement".to_owned(),
    }
}
