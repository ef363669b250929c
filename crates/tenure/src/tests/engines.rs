//! Engines are a tier's own, survive what keeps its data, and end with what erases it.

use id::Digest;

use super::example::{Example, console, controller, lease, specification, tier_id};
use crate::limits::ENGINES_PER_TIER_MAX;
use crate::order::{Consent, Engine, EngineAction, Power, PowerAction, Reassign, Renew, Target};
use crate::{Grant, Refusal, Right, Rights, Verb, WantedEngine, effects, view};

fn engine(name: &str, action: EngineAction) -> Verb {
    Verb::Engine(Engine { name: name.parse().unwrap(), action })
}

fn deploy(name: &str) -> Verb {
    engine(name, EngineAction::Deploy { specification: specification(name) })
}

fn wanted(example: &Example, tier: u8) -> Vec<WantedEngine> {
    effects(&example.tenure).realm(tier_id(tier)).unwrap().wanted.clone()
}

fn runs(example: &Example, tier: u8) -> Vec<bool> {
    wanted(example, tier).iter().map(|engine| engine.runs).collect()
}

#[test]
fn an_engine_is_deployed_stopped_restarted_reloaded_and_removed() {
    let mut example = Example::four_tiers();
    example.order(3, deploy("web")).unwrap();
    assert_eq!(runs(&example, 3), [true]);
    example.order(3, engine("web", EngineAction::Stop)).unwrap();
    assert_eq!(runs(&example, 3), [false]);
    example.order(3, engine("web", EngineAction::Restart)).unwrap();
    example.order(3, engine("web", EngineAction::Reload)).unwrap();
    let demand = wanted(&example, 3).remove(0).demand;
    assert_eq!((demand.running, demand.restarts, demand.reloads), (true, 1, 1));
    example.order(3, deploy("web")).unwrap();
    assert_eq!(wanted(&example, 3)[0].demand, demand, "the counters of a deployed engine never go back");
    example.order(3, engine("web", EngineAction::Remove)).unwrap();
    assert!(wanted(&example, 3).is_empty());
    let gone = Refusal::UnknownEngine { name: "web".parse().unwrap() };
    for action in [EngineAction::Start, EngineAction::Stop, EngineAction::Restart, EngineAction::Remove] {
        assert_eq!(example.order(3, engine("web", action)), Err(gone.clone()));
    }
}

#[test]
fn a_specification_must_be_held_and_name_its_engine() {
    let mut example = Example::four_tiers();
    let unheld = Digest::of(b"nobody has it");
    for (name, specification) in [("web", unheld), ("web", specification("till"))] {
        let refused = example.order(3, engine(name, EngineAction::Deploy { specification }));
        assert_eq!(refused, Err(Refusal::UnknownObject { object: specification }));
    }
    example.order(3, deploy("web")).unwrap();
    assert!(example.tenure.named_objects().contains(&specification("web")));
}

#[test]
fn engines_count_as_objects_and_have_a_limit() {
    let mut example = Example::enrolled();
    let mut narrow = lease(2, Grant::ALL, 1);
    narrow.quota.objects = 1;
    example.order(1, Verb::Lease(narrow)).unwrap();
    example.finish();
    example.order(2, deploy("web")).unwrap();
    example.order(2, deploy("web")).unwrap();
    assert!(matches!(example.order(2, deploy("till")), Err(Refusal::ExceedsQuota { .. })));

    for number in 0..=ENGINES_PER_TIER_MAX {
        let name = format!("engine-{number}");
        example.tenure.hold_specification(specification(&name), name.parse().unwrap());
        let deployed = example.order(1, deploy(&name));
        assert_eq!(deployed.is_ok(), number < ENGINES_PER_TIER_MAX, "{deployed:?}");
    }
}

#[test]
fn nobody_runs_engines_without_the_right_and_no_upper_tier_sees_them() {
    let mut example = Example::enrolled();
    let all_but = Grant { exercise: Rights::ALL.without(Right::EngineRun), grant: Rights::ALL };
    example.order(1, Verb::Lease(lease(2, all_but, 8))).unwrap();
    example.finish();
    example.order(2, Verb::Lease(lease(3, Grant::ALL, 2))).unwrap();
    example.finish();
    assert_eq!(example.order(2, deploy("web")), Err(Refusal::TierLacksRight { right: Right::EngineRun }));
    let before = view(&example.tenure, tier_id(2)).unwrap();
    example.order(3, deploy("web")).unwrap();
    assert_eq!(view(&example.tenure, tier_id(2)).unwrap(), before);
    assert_eq!(view(&example.tenure, tier_id(3)).unwrap().engines.len(), 1);
}

#[test]
fn engines_stop_with_power_and_suspension_and_run_again() {
    let mut example = Example::four_tiers();
    example.order(3, deploy("web")).unwrap();
    let power = |action| Verb::Power(Power { tier: Some(tier_id(3)), action });
    for (stops, goes_on) in [
        (power(PowerAction::Off), power(PowerAction::On)),
        (Verb::Suspend(Target { tier: tier_id(3) }), Verb::Resume(Target { tier: tier_id(3) })),
    ] {
        example.order(2, stops).unwrap();
        assert_eq!(runs(&example, 3), [false]);
        example.order(2, goes_on).unwrap();
        assert_eq!(runs(&example, 3), [true]);
    }
}

#[test]
fn what_is_erased_has_no_engines_and_what_is_kept_has() {
    let forced = Verb::Renew(Renew { tier: Some(tier_id(3)), keep: Vec::new(), nonce: None });
    let own = |keep| Verb::Renew(Renew { tier: None, keep, nonce: None });
    for (by, verb, kept) in
        [(2, forced, false), (3, own(Vec::new()), false), (3, own(vec![tier_id(3)]), true)]
    {
        let mut example = Example::four_tiers();
        example.order(3, deploy("web")).unwrap();
        example.order(by, verb).unwrap();
        example.finish();
        assert_eq!(runs(&example, 3), if kept { vec![true] } else { Vec::new() });
    }
}

#[test]
fn the_next_party_keeps_engines_with_the_data_alone() {
    for kept in [true, false] {
        let mut example = Example::four_tiers();
        example.order(3, deploy("web")).unwrap();
        let epoch = example.tenure.tier(tier_id(3)).unwrap().epoch;
        let keys = vec![controller(5, Rights::ALL)];
        let successor = Some(keys.iter().map(|key| key.key.id()).collect());
        example.order(3, Verb::Consent(Consent { tier: tier_id(3), epoch, successor })).unwrap();
        let keep = if kept { vec![tier_id(3)] } else { Vec::new() };
        let contract = "L-10".to_owned().try_into().unwrap();
        let consoles = vec![console(5)];
        example
            .order(2, Verb::Reassign(Reassign { tier: tier_id(3), contract, keys, keep, consoles }))
            .unwrap();
        example.finish();
        assert_eq!(wanted(&example, 3).len(), usize::from(kept));
    }
}
