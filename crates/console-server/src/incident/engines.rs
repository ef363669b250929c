//! The symptoms of engines, from what the node says of the console's own tier. Pure.

use incident::Kind;
use node_protocol::call::{EngineExit, EngineState, EngineStatus};

/// The longest text of an engine's that is kept.
const TOLD_CHARS_MAX: usize = 200;

/// What is wrong with an engine now, if anything. `before` is how often it had been started again when it was looked at
/// last; of a new engine that is never. Nothing is known of one that ran before anybody looked.
pub(super) fn symptom(before: Option<u64>, now: &EngineStatus) -> Option<(Kind, String)> {
    // It may be up again before anybody looked. A supervisor that was started anew counts anew.
    let fell = before.is_some_and(|before| now.restarts > if before > now.restarts { 0 } else { before });
    let why = || match (now.out_of_memory, now.watchdog) {
        (true, _) => (Kind::EngineOutOfMemory, "it used more memory than it has".to_owned()),
        (false, true) => (Kind::EngineHung, "it missed its watchdog, or was not ready in time".to_owned()),
        (false, false) => (Kind::EngineExited, ended(now.last_exit)),
    };
    match now.state {
        EngineState::Hung => {
            Some((Kind::EngineHung, "it missed its watchdog, or was not ready in time".to_owned()))
        }
        EngineState::BackingOff | EngineState::Ended => Some(why()),
        EngineState::Waiting => match now.reason.as_deref() {
            // It is on its way: the node has not tried yet, or is at it.
            None | Some(EngineStatus::IMAGE_UNPACKING) => None,
            Some(reason) => Some((Kind::EngineNotReady, shown(&format!("it cannot be started: {reason}")))),
        },
        EngineState::Starting | EngineState::Running if fell => {
            let (kind, told) = why();
            Some((kind, format!("{told}; the node started it again")))
        }
        EngineState::Starting | EngineState::Running | EngineState::Stopping | EngineState::Stopped => None,
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
        let found = symptom(before, now);
        assert_eq!(found.as_ref().map(|(kind, told)| (*kind, told.as_str())), expected);
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
        check(None, &waiting, None);
        waiting.reason = Some(EngineStatus::IMAGE_UNPACKING.to_owned());
        check(None, &waiting, None);
        waiting.reason = Some("no-volume\u{1b}[2J".to_owned());
        check(None, &waiting, Some((Kind::EngineNotReady, "it cannot be started: no-volume [2J")));
    }
}
