use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use expect_test::{Expect, expect};
use id::{KeyId, NodeId, Time};
use proptest::prelude::*;

use super::{Command, Desk, Event, Kept, NoticeKind, Outcome, Task};
use crate::incident::{Fence, Happened, Incident, Number, Phase, TIMELINE_MAX};
use crate::ladder::{Ladders, Remedy};
use crate::symptom::{Kind, Subject, Symptom};

const LADDERS: &str = r#"
version = 1
[[ladder]]
name = "dead"
kinds = ["node-dead"]
settle_s = 5
step = [{ do = "notify" }, { do = "reboot-node", wait_s = 30, times = 2 }, { do = "activate-spare" }]
[[ladder]]
name = "engine"
kinds = ["engine-exited", "engine-hung"]
settle_s = 5
step = [{ do = "restart-engine", wait_s = 10, times = 2 }, { do = "reload-image", wait_s = 10 }]
[[ladder]]
name = "rest"
step = [{ do = "notify", to = ["ops"] }]
"#;

fn node(number: u8) -> NodeId {
    NodeId(KeyId::of_public_key(&[number; 32]))
}

fn engine(number: u8, name: &str) -> Subject {
    Subject::Engine { node: node(number), engine: name.parse().unwrap() }
}

fn symptom(subject: Subject, kind: Kind) -> Event {
    Event::Symptom(Symptom { subject, kind, detail: "words".to_owned(), cluster: None, at: Time::ZERO })
}

fn at(seconds: u64) -> Time {
    Time::from_millis(1_000_000 + seconds * 1000)
}

fn desk() -> Desk {
    Desk::new(Ladders::parse(LADDERS).unwrap(), Kept::default())
}

/// What was commanded, in words.
fn told(commands: &[Command]) -> String {
    let words = commands.iter().filter_map(|command| match command {
        Command::Keep(_) => None,
        Command::Remedy(Task { number, remedy, fence, .. }) => Some(format!("{number} {remedy} {}", fence.0)),
        Command::Notify(notice) => {
            let cause = notice.incident.cause;
            Some(format!("{} told {:?} of {cause} to {:?}", notice.incident.number, notice.kind, notice.to))
        }
    });
    words.collect::<Vec<_>>().join("; ")
}

fn done(number: u8, fence: u64) -> Event {
    Event::Outcome { fence: Fence(fence), node: node(number), outcome: Outcome::Done("done".to_owned()) }
}

fn failed(number: u8, fence: u64) -> Event {
    Event::Outcome { fence: Fence(fence), node: node(number), outcome: Outcome::Failed("no".to_owned()) }
}

fn check(desk: &mut Desk, seconds: u64, event: Event, expected: Expect) {
    expected.assert_eq(&told(&desk.step(event, at(seconds))));
}

#[test]
fn a_dead_node_goes_up_its_ladder_to_the_spare() {
    let mut desk = desk();
    let desk = &mut desk;
    let dead = || symptom(Subject::Node(node(1)), Kind::NodeDead);
    check(desk, 0, dead(), expect!["INC-1 told Opened of node-dead to []; INC-1 reboot-node 1"]);
    check(desk, 1, dead(), expect![""]);
    check(desk, 5, done(1, 1), expect![""]);
    check(desk, 34, Event::Turn, expect![""]);
    check(desk, 35, Event::Turn, expect!["INC-1 reboot-node 2"]);
    check(desk, 36, failed(1, 2), expect!["INC-1 activate-spare 3"]);
    check(desk, 37, done(1, 2), expect![""]);
    check(desk, 40, done(1, 3), expect!["INC-1 told NeedsPerson of node-dead to []"]);
    check(desk, 900, Event::Turn, expect![""]);
    let cleared = Event::Cleared { subject: Subject::Node(node(1)), kind: Kind::NodeDead };
    check(desk, 1000, cleared, expect![""]);
    check(desk, 1005, Event::Turn, expect!["INC-1 told Resolved of node-dead to []"]);
    assert_eq!(desk.open().count(), 0);
}

#[test]
fn an_engine_that_comes_back_is_resolved_and_one_that_does_not_goes_on() {
    let mut desk = desk();
    let desk = &mut desk;
    let exited = || symptom(engine(1, "web"), Kind::EngineExited);
    let cleared = || Event::Cleared { subject: engine(1, "web"), kind: Kind::EngineExited };
    check(desk, 0, exited(), expect!["INC-1 restart-engine 1"]);
    check(desk, 1, done(1, 1), expect![""]);
    check(desk, 2, cleared(), expect![""]);
    // Back too soon: the next step, in the same incident.
    check(desk, 4, exited(), expect!["INC-1 restart-engine 2"]);
    check(desk, 5, done(1, 2), expect![""]);
    check(desk, 15, Event::Turn, expect!["INC-1 reload-image 3"]);
    check(desk, 16, done(1, 3), expect![""]);
    check(desk, 17, cleared(), expect![""]);
    check(desk, 22, Event::Turn, expect![""]);
    assert_eq!(desk.open().count(), 0);
    // Nobody was told, so nobody is told that it is over. Later it is another incident.
    check(desk, 60, exited(), expect!["INC-2 restart-engine 4"]);
}

#[test]
fn one_cause_is_one_page() {
    let mut desk = desk();
    let desk = &mut desk;
    check(desk, 0, symptom(engine(1, "web"), Kind::EngineHung), expect!["INC-1 restart-engine 1"]);
    check(
        desk,
        1,
        symptom(Subject::Node(node(1)), Kind::NodeDead),
        expect!["INC-2 told Opened of node-dead to []"],
    );
    // The engine's incident is part of the node's now; its remedy ends before another begins.
    check(desk, 2, symptom(engine(1, "db"), Kind::EngineExited), expect![""]);
    check(desk, 3, failed(1, 1), expect!["INC-2 reboot-node 2"]);
    let open: Vec<&Incident> = desk.open().collect();
    assert_eq!((open.len(), open[0].hidden().count()), (1, 2));
    check(desk, 4, symptom(engine(2, "web"), Kind::EngineExited), expect!["INC-3 restart-engine 1"]);
}

#[test]
fn many_silent_nodes_are_one_incident_and_nothing_is_destroyed() {
    let mut desk = desk();
    let desk = &mut desk;
    check(
        desk,
        0,
        symptom(Subject::Node(node(1)), Kind::Unreachable),
        expect![[r#"INC-1 told Opened of unreachable to [Name("ops")]"#]],
    );
    desk.step(Event::Doubt(true), at(1));
    check(
        desk,
        1,
        symptom(Subject::Console, Kind::ConsoleInDoubt),
        expect![[r#"INC-2 told Opened of console-in-doubt to [Name("ops")]"#]],
    );
    for other in 2..10 {
        check(desk, 2, symptom(Subject::Node(node(other)), Kind::Unreachable), expect![""]);
    }
    assert_eq!(desk.open().map(|incident| incident.hidden().count()).collect::<Vec<_>>(), [9]);
    check(desk, 3, symptom(engine(20, "web"), Kind::EngineExited), expect![""]);
    check(desk, 4, Event::Doubt(false), expect!["INC-3 restart-engine 1"]);
}

#[test]
fn what_a_person_took_over_is_left_alone_until_the_time_is_up() {
    let mut desk = desk();
    let desk = &mut desk;
    check(
        desk,
        0,
        symptom(Subject::Node(node(1)), Kind::NodeDead),
        expect!["INC-1 told Opened of node-dead to []; INC-1 reboot-node 1"],
    );
    let ack = Event::Acknowledge { number: Number(1), by: "kim".to_owned(), message: None, for_ms: 60_000 };
    check(desk, 1, ack, expect![""]);
    check(desk, 2, failed(1, 1), expect![""]);
    check(desk, 60, Event::Turn, expect![""]);
    check(desk, 61, Event::Turn, expect!["INC-1 told Reopened of node-dead to []; INC-1 reboot-node 2"]);
}

#[test]
fn a_remedy_of_which_nothing_is_heard_is_fenced_off() {
    let mut desk = desk();
    let desk = &mut desk;
    check(
        desk,
        0,
        symptom(Subject::Node(node(1)), Kind::NodeDead),
        expect!["INC-1 told Opened of node-dead to []; INC-1 reboot-node 1"],
    );
    check(desk, 600, Event::Turn, expect!["INC-1 reboot-node 2"]);
    check(desk, 601, done(1, 1), expect![""]);
    assert_eq!((desk.take_fence(node(1)), desk.take_fence(node(2))), (None, Some(Fence(1))));
    // A console that starts anew does again what was under way, under a higher fence.
    let kept = Kept {
        open: desk.open().cloned().collect(),
        newest: 1,
        fences: BTreeMap::from([(node(1), Fence(2))]),
    };
    let mut again = Desk::new(Ladders::parse(LADDERS).unwrap(), kept);
    check(&mut again, 602, Event::Turn, expect!["INC-1 reboot-node 3"]);
}

#[test]
fn timelines_are_bounded_and_begin_at_the_beginning() {
    let mut desk = desk();
    for second in 0..1000 {
        desk.step(symptom(engine(1, "web"), Kind::EngineExited), at(2 * second));
        let subject = engine(1, "web");
        desk.step(Event::Cleared { subject, kind: Kind::EngineExited }, at(2 * second + 1));
    }
    let incident = desk.open().next().unwrap();
    assert_eq!(incident.timeline.len(), TIMELINE_MAX);
    assert!(incident.left_out > 1000 && matches!(incident.timeline[0].what, Happened::Came { .. }));
}

/// What a random history is made of.
fn any_event() -> impl Strategy<Value = (Event, u64)> {
    let subject = prop_oneof![
        (0_u8..3).prop_map(|number| Subject::Node(node(number))),
        (0_u8..3, prop_oneof![Just("web"), Just("db")]).prop_map(|(number, name)| engine(number, name)),
        Just(Subject::Console),
        Just(Subject::Receiver("ops".parse().unwrap())),
    ];
    let fits = |subject: &Subject, kind: Kind| match subject {
        Subject::Node(_) => kind.class() == crate::Class::Hardware,
        Subject::Engine { .. } => kind.class() == crate::Class::Software,
        Subject::Receiver(_) => kind == Kind::DeliveryFailed,
        Subject::Console => kind == Kind::ConsoleInDoubt,
    };
    let shown = (subject, 0..Kind::ALL.len()).prop_map(move |(subject, first)| {
        let kinds = Kind::ALL.iter().cycle().skip(first);
        let kind = kinds.into_iter().find(|kind| fits(&subject, **kind)).copied().unwrap();
        (subject, kind)
    });
    let outcome = (any::<bool>(), 0_u8..3, 1_u64..30);
    let event = prop_oneof![
        4 => shown.clone().prop_map(|(subject, kind)| symptom(subject, kind)),
        3 => shown.prop_map(|(subject, kind)| Event::Cleared { subject, kind }),
        4 => outcome.prop_map(|(good, number, fence)| if good { done(number, fence) } else { failed(number, fence) }),
        1 => any::<bool>().prop_map(Event::Doubt),
        1 => (1_u64..5, 1_u64..100_000).prop_map(|(number, for_ms)| Event::Acknowledge {
            number: Number(number), by: "kim".to_owned(), message: None, for_ms,
        }),
        2 => Just(Event::Turn),
    ];
    (event, 0_u64..40_000)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_happens_the_promises_hold(history in proptest::collection::vec(any_event(), 1..120)) {
        let mut desk = desk();
        let mut now = at(0);
        // What runs on each node, as one sees it who does what the desk says.
        let mut running: BTreeMap<NodeId, Fence> = BTreeMap::new();
        let mut fences: BTreeSet<(NodeId, Fence)> = BTreeSet::new();
        let mut kept: BTreeMap<Number, Incident> = BTreeMap::new();
        let mut doubts = false;
        let mut begun_at: BTreeMap<NodeId, Time> = BTreeMap::new();
        for (event, gap) in history {
            now = now.plus(Duration::from_millis(gap));
            match &event {
                Event::Doubt(doubt) => doubts = *doubt,
                Event::Outcome { node, fence, .. } if running.get(node) == Some(fence) => {
                    running.remove(node);
                }
                Event::Outcome { .. } | Event::Symptom(_) | Event::Cleared { .. }
                | Event::Acknowledge { .. } | Event::Turn => {}
            }
            for command in desk.step(event, now) {
                match command {
                    Command::Keep(incident) => drop(kept.insert(incident.number, *incident)),
                    Command::Notify(_) => {}
                    Command::Remedy(task) => {
                        let given_up = begun_at.get(&task.node).is_some_and(|begun| begun.plus(super::REMEDY_PATIENCE) <= now);
                        prop_assert!(given_up || !running.contains_key(&task.node), "two remedies on one node");
                        prop_assert!(!(doubts && task.remedy.destroys()), "destroyed in doubt");
                        prop_assert!(fences.insert((task.node, task.fence)), "a fence came twice");
                        prop_assert!(kept[&task.number].acknowledged.is_none(), "done over a person's head");
                        running.insert(task.node, task.fence);
                        begun_at.insert(task.node, now);
                    }
                }
            }
            // What was kept last is what the desk has: nothing is lost if the console ends now.
            for incident in desk.open() {
                prop_assert_eq!(&kept[&incident.number], incident);
            }
            let mut subjects = BTreeSet::new();
            for incident in desk.open() {
                prop_assert!(subjects.insert(incident.subject.clone()), "two incidents of one subject");
            }
        }
        // Left to themselves, with remedies that fail, all end resolved or with a person.
        let mut commands = desk.step(Event::Doubt(false), now);
        for (node, fence) in std::mem::take(&mut running) {
            commands.extend(desk.step(Event::Outcome { fence, node, outcome: Outcome::Failed("no".to_owned()) }, now));
        }
        for _ in 0..200 {
            now = now.plus(Duration::from_secs(40));
            let tasks: Vec<Task> = commands.drain(..).filter_map(|command| match command {
                Command::Remedy(task) => Some(task),
                Command::Keep(_) | Command::Notify(_) => None,
            }).collect();
            for Task { node, fence, .. } in tasks {
                commands.extend(desk.step(Event::Outcome { fence, node, outcome: Outcome::Failed("no".to_owned()) }, now));
            }
            commands.extend(desk.step(Event::Turn, now));
        }
        for incident in desk.open() {
            prop_assert_eq!(incident.phase, Phase::Waiting, "{:?}", incident);
            prop_assert!(incident.told, "nobody was told: {:?}", incident);
        }
    }

    #[test]
    fn an_incident_reads_back(history in proptest::collection::vec(any_event(), 1..40)) {
        let mut desk = desk();
        for (event, _) in history {
            for command in desk.step(event, at(0)) {
                if let Command::Keep(incident) = command {
                    let text = serde_json::to_string(&incident).unwrap();
                    prop_assert_eq!(serde_json::from_str::<Incident>(&text).unwrap(), *incident);
                }
            }
        }
    }
}

#[test]
fn each_remedy_and_kind_has_the_word_of_its_json() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.to_string());
    }
    for remedy in [
        Remedy::Notify,
        Remedy::RestartEngine,
        Remedy::ReloadImage,
        Remedy::RebootNode,
        Remedy::ActivateSpare,
    ] {
        assert_eq!(serde_json::to_value(remedy).unwrap(), remedy.to_string());
    }
    let resolved = NoticeKind::Resolved;
    assert_eq!(serde_json::to_value(resolved).unwrap(), "resolved");
}
