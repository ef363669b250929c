use id::{KeyId, NodeId};
use proptest::prelude::*;

use super::{Health, Moment, Sign, Timing, Verdict, Watch};

fn node(number: u8) -> NodeId {
    NodeId(KeyId::of_public_key(&[number; 32]))
}

/// Turns each 100 ms up to `until`, with what `pulses` says at each second.
fn run(watch: &mut Watch, from: u64, until: u64, alive: &[NodeId]) -> Vec<(u64, Verdict)> {
    let mut verdicts = Vec::new();
    let mut now = from;
    while now <= until {
        if now.is_multiple_of(1000) {
            for node in alive {
                watch.hear(*node, Sign::Pulse, Moment(now));
            }
        }
        verdicts.extend(watch.turn(Moment(now)).into_iter().map(|verdict| (now, verdict)));
        now += 100;
    }
    verdicts
}

fn healths(verdicts: &[(u64, Verdict)], node: NodeId) -> Vec<(u64, Health)> {
    verdicts
        .iter()
        .filter(|(_, verdict)| verdict.node == node)
        .map(|(at, verdict)| (*at, verdict.now))
        .collect()
}

#[test]
fn a_dead_node_is_known_within_three_and_a_half_seconds() {
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    // It dies right after its pulse at 10 s.
    let verdicts = run(&mut watch, 10_100, 14_000, &nodes[1..]);
    assert_eq!(healths(&verdicts, nodes[0]), [(12_300, Health::Suspect), (13_300, Health::Dead)]);
    assert!(healths(&verdicts, nodes[1]).is_empty() && !watch.doubts());
}

#[test]
fn an_ended_connection_is_evidence_at_once() {
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    watch.hear(nodes[0], Sign::Ended, Moment(10_050));
    let verdicts = run(&mut watch, 10_100, 12_000, &nodes[1..]);
    assert_eq!(healths(&verdicts, nodes[0]), [(10_100, Health::Suspect), (11_100, Health::Dead)]);
}

#[test]
fn a_machine_that_answers_is_not_dead() {
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    let mut verdicts = Vec::new();
    for now in (10_100..22_000).step_by(100) {
        verdicts.extend(run(&mut watch, now, now, &nodes[1..]));
        if watch.probed().any(|(probed, _)| probed == nodes[0]) {
            watch.hear(nodes[0], Sign::Machine, Moment(now));
        }
    }
    let told: Vec<_> = healths(&verdicts, nodes[0]).into_iter().map(|(_, health)| health).collect();
    assert_eq!(told, [Health::Suspect, Health::Quiet, Health::Hung]);
    // Then the machine goes, too.
    let verdicts = run(&mut watch, 22_000, 26_000, &nodes[1..]);
    let told: Vec<_> = healths(&verdicts, nodes[0]).into_iter().map(|(_, health)| health).collect();
    assert_eq!(told, [Health::Suspect, Health::Dead]);
    watch.hear(nodes[0], Sign::Pulse, Moment(26_000));
    assert_eq!(watch.turn(Moment(26_100))[0].now, Health::Alive);
}

/// Its programs end first, and with them their connections; its kernel, and its cable, some tenths of a second later.
#[test]
fn a_machine_that_answers_while_it_goes_down_is_dead_a_second_later() {
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    watch.hear(nodes[0], Sign::Ended, Moment(10_050));
    let mut verdicts = run(&mut watch, 10_100, 10_100, &nodes[1..]);
    for now in (10_110..=10_510).step_by(100) {
        watch.hear(nodes[0], Sign::Machine, Moment(now));
        verdicts.extend(run(&mut watch, now, now, &nodes[1..]));
    }
    verdicts.extend(run(&mut watch, 10_600, 14_000, &nodes[1..]));
    assert_eq!(healths(&verdicts, nodes[0]), [(10_100, Health::Suspect), (11_600, Health::Dead)]);
}

#[test]
fn when_many_fall_silent_nobody_is_declared_dead() {
    let nodes: Vec<_> = (0..4).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    let verdicts = run(&mut watch, 10_100, 30_000, &nodes[2..]);
    assert_eq!(healths(&verdicts, nodes[0]).last().map(|(_, health)| *health), Some(Health::Unreachable));
    assert!(watch.doubts() && verdicts.iter().all(|(_, verdict)| verdict.now != Health::Dead));
    // One of them is back: the other is looked at anew, and then declared.
    let verdicts = run(&mut watch, 30_100, 34_000, &nodes[1..]);
    let told: Vec<_> = healths(&verdicts, nodes[0]).into_iter().map(|(_, health)| health).collect();
    assert_eq!((told.as_slice(), watch.doubts()), ([Health::Suspect, Health::Dead].as_slice(), false));
}

#[test]
fn a_watch_that_was_late_forgives() {
    let nodes: Vec<_> = (0..3).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    run(&mut watch, 0, 10_000, &nodes);
    // The console stood still for a minute. Only one of them speaks at once.
    assert!(run(&mut watch, 70_000, 72_000, &nodes[1..]).is_empty());
    let verdicts = run(&mut watch, 72_100, 74_000, &nodes[1..]);
    assert_eq!(healths(&verdicts, nodes[0]), [(72_300, Health::Suspect), (73_300, Health::Dead)]);
}

#[test]
fn a_node_that_never_came_is_missed_and_not_declared() {
    let nodes: Vec<_> = (0..2).map(node).collect();
    let mut watch = Watch::new(Timing::default());
    watch.follow(nodes.iter().copied(), Moment(0));
    let verdicts = run(&mut watch, 0, 60_000, &nodes[1..]);
    assert_eq!(healths(&verdicts, nodes[0]), [(30_000, Health::Unreachable)]);
    assert!(!watch.doubts());
}

proptest! {
    /// Whatever is heard: nobody is declared dead who was heard in the last two seconds, nor while the watch doubts.
    #[test]
    fn nobody_is_declared_who_was_heard(
        steps in proptest::collection::vec((0_u8..5, 0_u8..3, 20_u64..400), 1..400),
    ) {
        let nodes: Vec<_> = (0..5).map(node).collect();
        let mut watch = Watch::new(Timing::default());
        watch.follow(nodes.iter().copied(), Moment(0));
        let mut heard = [0_u64; 5];
        let mut now = 0;
        for (who, what, gap) in steps {
            now += gap;
            let sign = [Sign::Pulse, Sign::Machine, Sign::Ended][usize::from(what)];
            if sign != Sign::Ended {
                heard[usize::from(who)] = now;
            }
            watch.hear(nodes[usize::from(who)], sign, Moment(now));
            for verdict in watch.turn(Moment(now)) {
                if verdict.now == Health::Dead {
                    let place = nodes.iter().position(|node| *node == verdict.node).unwrap();
                    prop_assert!(now - heard[place] >= 1_000, "heard {} ms ago", now - heard[place]);
                    let others = nodes.iter().filter(|node| {
                        matches!(watch.health(**node), Some(Health::Suspect | Health::Unreachable))
                    });
                    // Those who fell silent with it in this very turn are seen in the next.
                    prop_assert!(others.count() < 5);
                }
            }
        }
    }
}
