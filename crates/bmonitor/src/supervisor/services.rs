//! Children that live long: each with one stream, polled in the one loop, bounded in both directions,
//! started again after a pause when it ends, killed and reaped when it is wanted no more. Nothing here
//! ever waits for a child: one that takes nothing, says nonsense or does not end is killed.
//!
//! ```text
//!          start                       what is sent waits here, bounded
//! absent ────────▶ running ◀─────────▶ child (stdin and stdout: the stream)
//!    ▲               │  ended, or killed by `end`
//!    └── a pause ◀───┘  longer each time, until it has said something
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::time::Duration;

use id::TierId;
use node_protocol::{Decoder, Frame, encode};
use os::child::{Child, ending};
use os::clock::boot;
use os::descriptor;
use os::poll::Wanted;
use serde::Serialize;

use super::engines::Unpacks;

/// What a child may leave untaken before nothing more is sent to it. One message may go beyond it.
const UNSENT_MAX: usize = 1024 * 1024;
/// Bytes read from one child in one turn.
const READ_A_TURN: usize = 256 * 1024;
/// The first pause before a child that ended is started again, and the longest.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// A child that lives long.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    /// Holds every key.
    Custody,
    /// Has a tier's connections to its consoles.
    Courier(TierId),
    /// Leases addresses.
    Dhcp,
    /// Starts shims; is started once, before the supervisor narrows itself.
    Launcher,
    /// Unpacks an image.
    Unpacker(Unpacks),
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Custody => f.write_str("custody"),
            Self::Courier(tier) => write!(f, "the courier of tier {tier}"),
            Self::Dhcp => f.write_str("dhcp"),
            Self::Launcher => f.write_str("the launcher"),
            Self::Unpacker(unpacks) => write!(f, "the unpacker of image {}", unpacks.image),
        }
    }
}

/// What has happened to a child.
#[derive(Debug)]
pub(super) enum Event {
    /// It said something.
    Said(Service, Frame),
    /// It has ended and is reaped; nothing more of it will come.
    Ended(Service),
}

/// Why something was not sent. Whatever it was, the child does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotSent {
    #[error("it does not run")]
    Absent,
    #[error("it takes nothing")]
    Full,
    #[error("the message is too long")]
    TooLong,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Services {
    running: BTreeMap<Service, Running>,
    failed: BTreeMap<Service, Failed>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    decoder: Decoder,
    unsent: VecDeque<Unsent>,
    /// Nothing is read from it for now.
    held: bool,
    /// Nothing more can be said to it or heard from it.
    over: bool,
    /// It was told to end.
    unwanted: bool,
    /// Why it was killed.
    why: Option<String>,
}

#[derive(Debug)]
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
    descriptor: Option<OwnedFd>,
}

#[derive(Debug)]
struct Failed {
    times: u32,
    again_at: Duration,
    why: String,
}

impl Services {
    /// Whether it runs: started and not reaped yet.
    pub(super) fn is_running(&self, service: &Service) -> bool {
        self.running.contains_key(service)
    }

    /// Whether it can be spoken to.
    pub(super) fn listens(&self, service: &Service) -> bool {
        self.running.get(service).is_some_and(|running| !running.over)
    }

    /// Whether it may be started: it does not run, and its pause is over.
    pub(super) fn may_start(&self, service: &Service) -> bool {
        !self.is_running(service) && self.failed.get(service).is_none_or(|failed| failed.again_at <= boot())
    }

    /// Starts it. What cannot be started counts as one that ended.
    pub(super) fn start(&mut self, service: Service, command: Command) {
        match Child::start(command) {
            Ok(child) => drop(self.running.insert(service, Running::new(child))),
            Err(error) => self.fail(service, format!("it cannot be started: {error}")),
        }
    }

    /// Takes in one that was started already.
    pub(super) fn adopt(&mut self, service: Service, child: Child) {
        self.running.insert(service, Running::new(child));
    }

    /// Sends a message, and a descriptor with it. Never waits.
    pub(super) fn send(
        &mut self,
        service: &Service,
        message: &impl Serialize,
        attachment: &[u8],
        descriptor: Option<OwnedFd>,
    ) -> Result<(), NotSent> {
        let running = self.running.get_mut(service).filter(|running| !running.over).ok_or(NotSent::Absent)?;
        if running.unsent.iter().map(|unsent| unsent.bytes.len() - unsent.sent).sum::<usize>() > UNSENT_MAX {
            return Err(NotSent::Full);
        }
        let bytes = encode(message, attachment).map_err(|_too_long| NotSent::TooLong)?;
        running.unsent.push_back(Unsent { bytes, sent: 0, descriptor });
        running.write();
        Ok(())
    }

    /// Whether it has taken all that was sent to it.
    pub(super) fn has_taken_all(&self, service: &Service) -> bool {
        self.running.get(service).is_none_or(|running| running.unsent.is_empty())
    }

    /// From now on nothing is read from it, or everything again: for one that takes no answers.
    pub(super) fn hold(&mut self, service: &Service, held: bool) {
        if let Some(running) = self.running.get_mut(service) {
            running.held = held;
        }
    }

    /// Kills it: [`Event::Ended`] comes when it is reaped. It may be started again at once then.
    pub(super) fn end(&mut self, service: &Service) {
        if let Some(running) = self.running.get_mut(service) {
            running.unwanted = true;
            running.kill(None);
        }
    }

    /// Kills one that does not do what it is for; its pause comes before the next.
    pub(super) fn end_for(&mut self, service: &Service, why: &str) {
        if let Some(running) = self.running.get_mut(service) {
            running.kill(Some(why));
        }
    }

    /// What does not stay alive, in words.
    pub(super) fn failures(&self) -> Vec<String> {
        let told = self.failed.iter();
        told.map(|(service, failed)| format!("{service}: {} (tried {} times)", failed.why, failed.times))
            .collect()
    }

    /// How the last one ended, if it was not wanted to and none has said anything since.
    pub(super) fn why_it_failed(&self, service: &Service) -> Option<&str> {
        self.failed.get(service).map(|failed| failed.why.as_str())
    }

    /// How long until one may be started again.
    pub(super) fn wake_in(&self) -> Option<Duration> {
        let pauses = self.failed.iter().filter(|(service, _)| !self.is_running(service));
        let pauses = pauses.map(|(_, failed)| failed.again_at).filter(|at| *at > boot());
        pauses.min().map(|at| at.saturating_sub(boot()))
    }

    /// What to wait for.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, Wanted)> {
        let mut descriptors = Vec::new();
        for running in self.running.values() {
            descriptors.push((running.child.ended(), Wanted::READ));
            let wanted = Wanted { read: !running.held, write: !running.unsent.is_empty() };
            // A stream that is at its end would be ready without end.
            if !running.over && (wanted.read || wanted.write) {
                descriptors.push((running.child.stream.as_fd(), wanted));
            }
        }
        descriptors
    }

    /// Writes and reads what is ready, reaps what has ended.
    pub(super) fn turn(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut ended = Vec::new();
        for (service, running) in &mut self.running {
            running.write();
            let frames = running.read();
            if !frames.is_empty() {
                self.failed.remove(service);
            }
            events.extend(frames.into_iter().map(|frame| Event::Said(service.clone(), frame)));
            if let Some(how) = running.reap() {
                events.extend(running.read().into_iter().map(|frame| Event::Said(service.clone(), frame)));
                ended.push((service.clone(), how));
            }
        }
        for (service, how) in ended {
            let was = self.running.remove(&service);
            if was.is_some_and(|running| !running.unwanted) {
                self.fail(service.clone(), how);
            }
            events.push(Event::Ended(service));
        }
        events
    }

    fn fail(&mut self, service: Service, why: String) {
        let times = self.failed.get(&service).map_or(0, |failed| failed.times).saturating_add(1);
        let pause = PAUSE_FIRST.saturating_mul(1 << times.min(6)).min(PAUSE_MAX);
        self.failed.insert(service, Failed { times, again_at: boot() + pause, why });
    }
}

impl Running {
    fn new(child: Child) -> Self {
        Self {
            child,
            decoder: Decoder::default(),
            unsent: VecDeque::new(),
            held: false,
            over: false,
            unwanted: false,
            why: None,
        }
    }

    /// What cannot be killed is seen to live: its stream is over whatever happens.
    fn kill(&mut self, why: Option<&str>) {
        self.over = true;
        self.unsent.clear();
        if self.why.is_none() {
            self.why = why.map(str::to_owned);
        }
        self.child.kill().unwrap_or_default();
    }

    fn write(&mut self) {
        while let Some(unsent) = self.unsent.front_mut() {
            let bytes = unsent.bytes.get(unsent.sent..).unwrap_or_default();
            let handed = unsent.descriptor.as_ref().map(AsFd::as_fd);
            match descriptor::send(&self.child.stream, bytes, handed) {
                Ok(length) => {
                    unsent.sent += length;
                    unsent.descriptor = None;
                    if unsent.sent >= unsent.bytes.len() {
                        self.unsent.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => return self.kill(Some(&format!("it cannot be written to: {error}"))),
            }
        }
    }

    /// The whole messages that have arrived. Descriptors that come along are closed.
    fn read(&mut self) -> Vec<Frame> {
        let (mut frames, mut taken, mut part) = (Vec::new(), 0, vec![0; 32 * 1024]);
        while !self.held && !self.over && taken < READ_A_TURN {
            match io::Read::read(&mut self.child.stream, &mut part) {
                Ok(0) => self.kill(Some("it closed its stream")),
                Ok(length) => {
                    taken += length;
                    self.decoder.push(part.get(..length).unwrap_or_default());
                    self.take_frames(&mut frames);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => self.kill(Some(&format!("it cannot be read from: {error}"))),
            }
        }
        frames
    }

    fn take_frames(&mut self, frames: &mut Vec<Frame>) {
        loop {
            match self.decoder.frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => return,
                Err(error) => return self.kill(Some(&error.to_string())),
            }
        }
    }

    /// How it ended, if it has.
    fn reap(&mut self) -> Option<String> {
        match self.child.reap() {
            Ok(None) => None,
            Ok(Some(status)) => {
                let how = format!("it ended with {}", ending(status));
                Some(self.why.take().map_or(how.clone(), |why| format!("{why}; {how}")))
            }
            Err(error) => Some(format!("it cannot be reaped: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use os::poll::wait;

    use super::*;

    const CUSTODY: Service = Service::Custody;

    fn turn(services: &mut Services) -> Vec<Event> {
        wait(&services.descriptors(), services.wake_in()).unwrap();
        services.turn()
    }

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn what_is_said_comes_back_and_what_ends_is_started_after_a_pause_alone() {
        let mut services = Services::default();
        assert!(services.may_start(&CUSTODY));
        services.start(CUSTODY, Command::new("cat"));
        assert!(services.is_running(&CUSTODY) && !services.may_start(&CUSTODY));
        services.send(&CUSTODY, &"hello", b"there", None).unwrap();
        let said = std::iter::from_fn(|| Some(turn(&mut services))).flatten().next().unwrap();
        let Event::Said(CUSTODY, frame) = said else { panic!("{said:?}") };
        assert_eq!(
            (frame.message::<String>().unwrap().as_str(), &*frame.attachment),
            ("hello", &b"there"[..])
        );
        services.end_for(&CUSTODY, "it is of no use");
        let ended = std::iter::from_fn(|| Some(turn(&mut services))).flatten().next().unwrap();
        assert!(matches!(ended, Event::Ended(CUSTODY)), "{ended:?}");
        assert!(!services.is_running(&CUSTODY) && !services.may_start(&CUSTODY));
        assert_eq!(services.send(&CUSTODY, &"", b"", None), Err(NotSent::Absent));
        assert!(services.failures()[0].contains("it is of no use; it ended with signal 9"));
        assert!(services.wake_in().unwrap() <= PAUSE_MAX);
    }

    #[test]
    fn one_that_is_wanted_no_more_leaves_no_failure() {
        let mut services = Services::default();
        services.start(CUSTODY, Command::new("cat"));
        services.end(&CUSTODY);
        assert!(!services.listens(&CUSTODY));
        while services.is_running(&CUSTODY) {
            turn(&mut services);
        }
        assert!(services.failures().is_empty() && services.may_start(&CUSTODY));
    }

    #[test]
    fn one_that_takes_nothing_makes_nobody_wait() {
        let mut services = Services::default();
        services.start(CUSTODY, shell("exec sleep 1000"));
        let megabyte = vec![0; 1024 * 1024];
        let sent = (0..100).take_while(|_| services.send(&CUSTODY, &"", &megabyte, None).is_ok()).count();
        assert!((1..5).contains(&sent), "{sent}");
        assert_eq!(services.send(&CUSTODY, &"", b"", None), Err(NotSent::Full));
        services.end(&CUSTODY);
        while services.is_running(&CUSTODY) {
            turn(&mut services);
        }
    }

    #[test]
    fn one_that_says_nonsense_or_closes_its_stream_is_killed() {
        for script in
            ["exec printf 'nonsense, more than a header'", "exec <&- >&-; exec sleep 1000", "exit 3"]
        {
            let mut services = Services::default();
            services.start(CUSTODY, shell(script));
            while services.is_running(&CUSTODY) {
                assert!(turn(&mut services).iter().all(|event| matches!(event, Event::Ended(_))));
            }
            assert_eq!(services.failures().len(), 1, "{script}");
        }
    }

    #[test]
    fn pauses_grow_up_to_a_bound() {
        let mut services = Services::default();
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            services.fail(CUSTODY, String::new());
            let pause = services.wake_in().unwrap();
            assert!(pause <= PAUSE_MAX && pause + Duration::from_millis(50) >= last);
            last = pause;
        }
    }
}
