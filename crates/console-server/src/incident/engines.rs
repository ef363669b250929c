//! The symptoms of engines, from what the node says of the console's own tier. Pure.

use incident::Kind;
use node_protocol::call::{EngineExit, EngineState, EngineStatus};

/// The longest text of an engine's that is kept.
const TOLD_CHARS_MAX: usize = 200;

const HUNG: &str = "it missed its watchdog, or was not ready in time";

/// All that an engine can have.
const KINDS: [Kind; 4] =
    [Kind::EngineExited, Kind::EngineHung, Kind::EngineNotReady, Kind::EngineOutOfMemory];

/// What is remembered of an engine.
#[derive(Debug)]
pub(super) struct Seen {
    /// How often it had been started again when it was last found well or ill.
    restarts: Option<u64>,
    /// The kinds of which an incident may be open.
    open: Vec<Kind>,
}

/// What follows from a look at an engine.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    pub(super) symptom: Option<(Kind, String)>,
    pub(super) cleared: Vec<Kind>,
}

impl Seen {
    /// One that nobody has looked at, and that is new if all engines of its tier had been looked at before. It may have
    /// been ill before this console's start.
    pub(super) fn first(is_new: bool) -> Self {
        Self { restarts: is_new.then_some(0), open: KINDS.to_vec() }
    }

    pub(super) fn look(&mut self, now: &EngineStatus) -> News {
        let symptom = match finding(self.restarts, now) {
            Finding::OnItsWay => return News::default(),
            Finding::Well => None,
            Finding::Ill(kind, told) => Some((kind, told)),
        };
        let kind = symptom.as_ref().map(|(kind, _)| *kind);
        self.restarts = Some(now.restarts);
        let cleared = std::mem::replace(&mut self.open, kind.into_iter().collect());
        News { symptom, cleared: cleared.into_iter().filter(|was| Some(*was) != kind).collect() }
    }

    /// It is not there any more.
    pub(super) fn gone(self) -> Vec<Kind> {
        self.open
    }
}

/// How an engine is.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Well,
    /// The node has not tried to start it yet, or is at it: neither a symptom, nor a sign that an earlier one is over.
    OnItsWay,
    Ill(Kind, String),
}

/// What is wrong with an engine now, if anything. `before` is how often it had been started again when it was looked at
/// last; of a new engine that is never. Nothing is known of one that ran before anybody looked.
fn finding(before: Option<u64>, now: &EngineStatus) -> Finding {
    // It may be up again before anybody looked. A supervisor that was started anew counts anew.
    let fell = before.is_some_and(|before| now.restarts > if before > now.restarts { 0 } else { before });
    let why = || match (now.out_of_memory, now.watchdog) {
        (true, _) => (Kind::EngineOutOfMemory, "it used more memory than it has".to_owned()),
        (false, true) => (Kind::EngineHung, HUNG.to_owned()),
        (false, false) => (Kind::EngineExited, ended(now.last_exit)),
    };
    let ill = |(kind, told)| Finding::Ill(kind, told);
    match now.state {
        EngineState::Hung => ill((Kind::EngineHung, HUNG.to_owned())),
        EngineState::BackingOff | EngineState::Ended => ill(why()),
        EngineState::Waiting => match now.reason.as_deref() {
            None | Some(EngineStatus::IMAGE_UNPACKING) => Finding::OnItsWay,
            Some(why) => ill((Kind::EngineNotReady, shown(&format!("it cannot be started: {why}")))),
        },
        EngineState::Starting | EngineState::Running if fell => {
            let (kind, told) = why();
            ill((kind, format!("{told}; the node started it again")))
        }
        EngineState::Starting | EngineState::Running | EngineState::Stopping | EngineState::Stopped => {
            Finding::Well
        }
    }
}

fn ended(exit: Option<EngineExit>) -> String {
    match exit {
        Some(EngineExit::Code(code)) => format!("it ended with exit code {code}"),
        Some(EngineExit::Signal(signal)) => format!("signal {signal} ended it"),
        None => "it ended".to_owned(),
    }
}

/// What the node or its engine said, as one line.
fn shown(text: &str) -> String {
    text.chars().take(TOLD_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(state: EngineState, restarts: u64) -> EngineStatus {
        EngineStatus {
            name: "web".parse().unwrap(),
            state,
            ready: state == EngineState::Running,
            status: String::new(),
            restarts,
            since: None,
            last_exit: Some(EngineExit::Signal(9)),
            out_of_memory: false,
            watchdog: false,
            reason: None,
            missing: Vec::new(),
        }
    }

    #[track_caller]
    fn check(before: Option<u64>, now: &EngineStatus, expected: Option<(Kind, &str)>) {
        let expected = expected.map_or(Finding::Well, |(kind, told)| Finding::Ill(kind, told.to_owned()));
        assert_eq!(finding(before, now), expected);
    }

    #[test]
    fn what_a_node_says_of_an_engine_is_a_symptom_or_none() {
        let running = engine(EngineState::Running, 3);
        check(None, &running, None);
        check(Some(3), &running, None);
        check(Some(3), &engine(EngineState::Stopped, 3), None);
        let again = engine(EngineState::Running, 4);
        let exited = Some((Kind::EngineExited, "signal 9 ended it; the node started it again"));
        check(Some(3), &again, exited);
        // A new one that died before anybody looked; one that died after its supervisor.
        check(Some(0), &engine(EngineState::Running, 1), exited);
        check(Some(3), &engine(EngineState::Running, 1), exited);
        check(Some(3), &engine(EngineState::Running, 0), None);
        check(None, &engine(EngineState::BackingOff, 3), Some((Kind::EngineExited, "signal 9 ended it")));
        let mut ended = engine(EngineState::Ended, 3);
        ended.last_exit = Some(EngineExit::Code(3));
        check(None, &ended, Some((Kind::EngineExited, "it ended with exit code 3")));
        ended.out_of_memory = true;
        check(None, &ended, Some((Kind::EngineOutOfMemory, "it used more memory than it has")));
        let mut hung = again;
        hung.watchdog = true;
        let told = "it missed its watchdog, or was not ready in time; the node started it again";
        check(Some(3), &hung, Some((Kind::EngineHung, told)));
        let mut waiting = engine(EngineState::Waiting, 3);
        assert_eq!(finding(None, &waiting), Finding::OnItsWay);
        waiting.reason = Some(EngineStatus::IMAGE_UNPACKING.to_owned());
        assert_eq!(finding(None, &waiting), Finding::OnItsWay);
        waiting.reason = Some("no-volume\u{1b}[2J".to_owned());
        check(None, &waiting, Some((Kind::EngineNotReady, "it cannot be started: no-volume [2J")));
    }

    #[test]
    fn an_engine_that_is_on_its_way_opens_no_incident_and_ends_none() {
        let mut unpacking = engine(EngineState::Waiting, 0);
        unpacking.reason = Some(EngineStatus::IMAGE_UNPACKING.to_owned());
        let mut died = unpacking.clone();
        died.reason = Some("its image's unpacker died".to_owned());
        let running = engine(EngineState::Running, 0);
        let ill = |seen: &mut Seen, now: &EngineStatus| seen.look(now).symptom.map(|(kind, _)| kind);

        let mut seen = Seen::first(true);
        assert_eq!(seen.look(&unpacking), News::default());
        assert_eq!(ill(&mut seen, &died), Some(Kind::EngineNotReady));
        for _ in 0..2 {
            assert_eq!(seen.look(&unpacking), News::default());
            let again = seen.look(&died);
            assert!(again.symptom.is_some() && again.cleared.is_empty());
        }
        assert_eq!(seen.look(&unpacking), News::default());
        assert_eq!(seen.look(&running), News { symptom: None, cleared: vec![Kind::EngineNotReady] });
        assert_eq!(seen.look(&running), News::default());

        // What was open before this console's start is over once the engine is seen well, and no earlier.
        let mut seen = Seen::first(false);
        assert_eq!(seen.look(&unpacking), News::default());
        assert_eq!(seen.look(&running), News { symptom: None, cleared: KINDS.to_vec() });
        // One that died while it was on its way again.
        let mut fell = unpacking;
        fell.restarts = 1;
        assert_eq!(seen.look(&fell), News::default());
        assert_eq!(ill(&mut seen, &engine(EngineState::Running, 1)), Some(Kind::EngineExited));
        assert_eq!(seen.gone(), [Kind::EngineExited]);
    }
}
