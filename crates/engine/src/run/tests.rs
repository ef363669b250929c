use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn terms(ready: Ready, watchdog: Option<u64>) -> Terms {
    Terms { ready, start: 5 * SECOND, stop: 2 * SECOND, watchdog: watchdog.map(Duration::from_secs) }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn one_that_is_ready_in_time_and_gives_signs_of_life_runs() {
    let mut run = Run::started(terms(Ready::Notify, Some(3)), at(0));
    assert_eq!((run.phase(), run.due()), (Phase::Starting, Some(at(5))));
    assert_eq!(run.take(Event::Said(Notice::Ready), at(4)), None);
    assert_eq!((run.phase(), run.due()), (Phase::Running, Some(at(7))));
    assert_eq!(run.take(Event::Said(Notice::Alive), at(6)), None);
    assert_eq!(run.take(Event::Tick, at(8)), None);
    assert_eq!(run.take(Event::Tick, at(9)), Some(Action::Kill));
    assert_eq!((run.phase(), run.hung()), (Phase::Hung, true));
    assert_eq!(run.take(Event::Said(Notice::Alive), at(9)), None);
    assert_eq!(run.take(Event::Tick, at(10)), Some(Action::Kill), "it is killed until it is dead");
    assert_eq!(run.take(Event::Ended, at(10)), None);
    assert_eq!((run.phase(), run.due()), (Phase::Ended, None));
}

#[test]
fn one_that_is_not_ready_in_time_hangs() {
    let mut run = Run::started(terms(Ready::Notify, None), at(0));
    assert_eq!(run.take(Event::Said(Notice::Alive), at(4)), None, "a sign of life is no readiness");
    assert_eq!(run.take(Event::Tick, at(5)), Some(Action::Kill));
    assert!(run.hung());
}

#[test]
fn one_without_notices_is_ready_at_once_and_need_not_say_anything() {
    let run = Run::started(terms(Ready::Started, None), at(0));
    assert_eq!((run.phase(), run.due()), (Phase::Running, None));
}

#[test]
fn one_that_refuses_to_end_is_killed() {
    let mut run = Run::started(terms(Ready::Started, Some(1)), at(0));
    assert_eq!(run.take(Event::Asked, at(0)), Some(Action::Terminate));
    assert_eq!(run.take(Event::Asked, at(1)), None);
    // What it says now puts nothing off.
    assert_eq!(run.take(Event::Said(Notice::Alive), at(1)), None);
    assert_eq!(run.take(Event::Said(Notice::Ready), at(1)), None);
    assert_eq!(run.take(Event::Tick, at(2)), Some(Action::Kill));
    assert!(!run.hung());
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Said(Notice::Ready)),
        Just(Event::Said(Notice::Alive)),
        Just(Event::Said(Notice::Hangs)),
        Just(Event::Said(Notice::Stopping)),
        Just(Event::Asked),
        Just(Event::Tick),
    ]
}

proptest! {
    /// Whatever an engine says, from the moment it was asked to end, or hung, it is killed within its time
    /// and goes on being killed; and a silent one with a watchdog never runs on.
    #[test]
    fn nothing_that_an_engine_says_keeps_it_alive(
        events in prop::collection::vec((event(), 0u64..2_000), 1..60),
        notify in any::<bool>(),
        watchdog in prop::option::of(1u64..4),
    ) {
        let terms = terms(if notify { Ready::Notify } else { Ready::Started }, watchdog);
        let mut run = Run::started(terms, Duration::ZERO);
        let (mut now, mut doomed_at, mut sign_at) = (Duration::ZERO, None, Duration::ZERO);
        for (event, after) in events {
            now += Duration::from_millis(after);
            let before = run.phase();
            let asked = event == Event::Asked;
            if matches!(event, Event::Said(Notice::Alive | Notice::Ready)) {
                sign_at = now;
            }
            let action = run.take(event.clone(), now);
            if run.phase() != before && matches!(run.phase(), Phase::Hung | Phase::Stopping) {
                doomed_at = Some(now);
                prop_assert_eq!(action, Some(if asked { Action::Terminate } else { Action::Kill }));
            }
            if let Some(doomed) = doomed_at {
                prop_assert!(matches!(run.phase(), Phase::Hung | Phase::Stopping));
                if event == Event::Tick && now >= doomed + terms.stop + KILL_AGAIN {
                    prop_assert!(run.due().is_some_and(|due| due > now) && (action.is_some() || run.due().unwrap() <= now + KILL_AGAIN));
                }
            } else if event == Event::Tick && run.phase() == Phase::Running {
                prop_assert!(watchdog.is_none_or(|most| now < sign_at + Duration::from_secs(most)));
            }
        }
    }
}
