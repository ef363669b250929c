//! Rows of random orders, good and bad, from any tier to any tier, with outcomes, lapses and time in between.

use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::test_runner::TestCaseError;

use super::example::{
    Example, at, console, controller, directory, key, lease, object, specification, tier_id,
};
use crate::order::{
    Boundary, Consent, Consoles, Directory, Engine, EngineAction, NewTerms, NewVolume, Power, PowerAction,
    Reassign, RemoveKey, RemoveVolume, Renew, Target, TryBoundary,
};
use crate::{
    Change, Grant, Input, Outcome, Quota, Right, Rights, SizeMib, Step, Tenure, Terms, Verb, apply_all,
    decide, effects, plan, view,
};

/// One thing that happens.
#[derive(Debug, Clone)]
enum Event {
    /// A tier's key signs an order.
    Order { tier: u8, signer: u8, verb: Box<Verb> },
    /// The next step of a procedure is told.
    Step,
    /// A step of some procedure is told that may not be next.
    Stray(Step),
    /// Time passes, or the clock goes back.
    Clock(u64),
}

fn tier() -> impl Strategy<Value = u8> {
    1u8..8
}

fn some_rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        3 => Just(Rights::ALL),
        1 => prop::collection::vec(prop::sample::select(Right::ALL.to_vec()), 0..6)
            .prop_map(|rights| rights.into_iter().collect()),
    ]
}

fn grant() -> impl Strategy<Value = Grant> {
    (some_rights(), some_rights()).prop_map(|(exercise, grant)| Grant { exercise, grant })
}

fn terms() -> impl Strategy<Value = Terms> {
    (0u64..6_000, 0u64..9_000).prop_map(|(from, upto)| Terms { not_before: at(from), until: at(upto) })
}

fn kept() -> impl Strategy<Value = Vec<id::TierId>> {
    prop::collection::vec(tier().prop_map(tier_id), 0..3)
}

fn verb() -> impl Strategy<Value = Verb> {
    let target = || tier().prop_map(|tier| Target { tier: tier_id(tier) });
    prop_oneof![
        (tier(), grant(), 0u32..4, 0u8..10).prop_map(|(new, grant, tiers, set)| {
            let mut args = lease(new, grant, tiers);
            args.boundary = object(set);
            Verb::Lease(args)
        }),
        (tier(), prop::option::of(terms()), prop::option::of(grant()), prop::option::of(0u32..40)).prop_map(
            |(tier, terms, rights, quota)| {
                let quota =
                    quota.map(|n| Quota { tiers: n, keys: n, objects: n, records_per_hour: n, space_mib: n });
                Verb::Terms(NewTerms { tier: tier_id(tier), contract: None, terms, rights, quota })
            }
        ),
        (tier(), tier(), kept()).prop_map(|(tier, party, keep)| {
            let keys = vec![controller(party, Rights::ALL)];
            let contract = "L-7".to_owned().try_into().unwrap();
            Verb::Reassign(Reassign {
                tier: tier_id(tier),
                contract,
                keys,
                keep,
                consoles: vec![console(party)],
            })
        }),
        (prop::option::of(tier()), 0u8..12).prop_map(|(tier, last)| {
            Verb::Boundary(Boundary { tier: tier.map(tier_id), object: object(last) })
        }),
        (0u8..12, 1u32..5).prop_map(|(last, seconds)| {
            let seconds = seconds.try_into().unwrap();
            Verb::TryBoundary(TryBoundary { object: object(last), seconds })
        }),
        (tier(), some_rights()).prop_map(|(number, rights)| Verb::EnrolKey(controller(number, rights))),
        prop::collection::vec(tier().prop_map(console), 0..6)
            .prop_map(|consoles| Verb::Consoles(Consoles { consoles })),
        (4u64..10).prop_map(|serial| Verb::Directory(Directory { object: directory(serial) })),
        tier().prop_map(|number| Verb::RemoveKey(RemoveKey { key: key(number).id() })),
        (prop::option::of(tier()), kept()).prop_map(|(tier, keep)| Verb::Renew(Renew {
            tier: tier.map(tier_id),
            keep,
            nonce: None
        })),
        (tier(), 1u64..4, prop::option::of(tier())).prop_map(|(tier, epoch, party)| {
            let epoch = id::Epoch::new(epoch).unwrap();
            let successor = party.map(|party| vec![key(party).id()]);
            Verb::Consent(Consent { tier: tier_id(tier), epoch, successor })
        }),
        target().prop_map(Verb::Suspend),
        target().prop_map(Verb::Resume),
        target().prop_map(Verb::Sever),
        prop::sample::select(engine_actions())
            .prop_map(|action| Verb::Engine(Engine { name: "web".parse().unwrap(), action })),
        prop::sample::select(vec![16, 32, 1000]).prop_map(|size| Verb::Volume(NewVolume {
            name: "data".parse().unwrap(),
            size_mib: SizeMib::try_from(size).unwrap(),
        })),
        Just(Verb::RemoveVolume(RemoveVolume { name: "data".parse().unwrap() })),
        prop::option::of(tier())
            .prop_map(|tier| Verb::Power(Power { tier: tier.map(tier_id), action: PowerAction::Restart })),
    ]
}

fn engine_actions() -> Vec<EngineAction> {
    vec![
        EngineAction::Deploy { specification: specification("web") },
        EngineAction::Stop,
        EngineAction::Restart,
        EngineAction::Remove,
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (tier(), verb()).prop_map(|(tier, verb)| Event::Order { tier, signer: tier, verb: Box::new(verb) }),
        1 => (tier(), tier(), verb())
            .prop_map(|(tier, signer, verb)| Event::Order { tier, signer, verb: Box::new(verb) }),
        4 => Just(Event::Step),
        1 => prop::sample::select(Step::ALL.to_vec()).prop_map(Event::Stray),
        1 => (500u64..8_000).prop_map(Event::Clock),
    ]
}

/// The input that the event gives in this state, if any.
fn input(example: &mut Example, event: &Event) -> Option<Input> {
    match event {
        Event::Order { tier, signer, verb } => {
            example.tenure.tier(tier_id(*tier))?;
            Some(Input::Order(Box::new(example.sign_as(*tier, *signer, (**verb).clone()))))
        }
        Event::Step => example.outcome().map(Input::Outcome),
        Event::Stray(step) => {
            example.outcome().map(|outcome| Input::Outcome(Outcome { step: *step, ..outcome }))
        }
        Event::Clock(millis) => {
            example.now = at(*millis);
            Some(Input::Lapse { at: at(*millis) })
        }
    }
}

/// What must hold between any two states.
fn checked(before: &Tenure, after: &Tenure) -> Result<(), TestCaseError> {
    prop_assert!(after.clock() >= before.clock());
    let serial = |tenure: &Tenure| tenure.directory().map(|directory| directory.serial);
    prop_assert!(serial(after) >= serial(before));
    for (key, last) in &before.sequences {
        prop_assert!(after.sequences.get(key) >= Some(last), "a sequence went back or was forgotten");
    }
    for (id, tier) in after.tiers() {
        if let Some(old) = before.tier(id) {
            prop_assert!(tier.epoch >= old.epoch && tier.data.salt >= old.data.salt);
        }
        prop_assert!(
            tier.parent.is_none_or(|parent| after.tier(parent).is_some()),
            "a tier without its parent"
        );
        if let Some(parent) = tier.parent {
            prop_assert!(tier.ending || !after.tier(parent).is_some_and(|parent| parent.ending));
            let (upper, lower) = (after.effective_rights(parent), after.effective_rights(id));
            prop_assert_eq!(lower.exercise.or(lower.grant).exceeding(upper.grant), None);
            prop_assert!(after.effective_terms(id).within(&after.effective_terms(parent)));
        }
        prop_assert!(view(after, id).is_some());
    }
    for procedure in after.procedures() {
        prop_assert!(!procedure.parts.is_empty());
        prop_assert!(procedure.parts.iter().all(|part| after.tier(part.tier).is_some()));
    }
    for (id, _) in after.tiers() {
        let parts = after.procedures().filter(|procedure| procedure.part(id).is_some()).count();
        prop_assert!(parts <= 1, "a tier in two procedures");
    }
    prop_assert_eq!(effects(after).realms.len(), after.tiers().count());
    Ok(())
}

proptest! {
    #[test]
    fn any_row_of_events_keeps_the_books_straight(events in prop::collection::vec(event(), 1..60), cut in any::<prop::sample::Index>()) {
        let mut example = Example::four_tiers();
        let begin = example.tenure.clone();
        example.record.clear();
        let mut snapshot = (begin.clone(), 0);
        for (number, event) in events.iter().enumerate() {
            let Some(input) = input(&mut example, event) else { continue };
            let before = example.tenure.clone();
            prop_assert_eq!(decide(&before, &input), decide(&before, &input), "not a function");
            match example.input(&input) {
                Ok(_) => checked(&before, &example.tenure)?,
                Err(refusal) => {
                    prop_assert_eq!(&before, &example.tenure, "a refusal changed something");
                    prop_assert!(plan(&before, &input).is_err());
                    let text = serde_json::to_string(&refusal).unwrap();
                    prop_assert_eq!(serde_json::from_str::<crate::Refusal>(&text).unwrap(), refusal);
                }
            }
            let text = serde_json::to_string(&input).unwrap();
            prop_assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
            if number == cut.index(events.len()) {
                let text = serde_json::to_string(&example.tenure).unwrap();
                snapshot = (serde_json::from_str(&text).unwrap(), example.record.len());
            }
        }
        // The journal, read back, leads to the same state: from the beginning, and from a snapshot.
        let text = serde_json::to_string(&example.record).unwrap();
        let record: Vec<Change> = serde_json::from_str(&text).unwrap();
        let mut replayed = begin;
        apply_all(&mut replayed, &record);
        prop_assert_eq!(&replayed, &example.tenure);
        let (mut from_snapshot, done) = snapshot;
        apply_all(&mut from_snapshot, &record[done..]);
        prop_assert_eq!(&from_snapshot, &example.tenure);
    }

    #[test]
    fn what_a_child_is_given_its_grantor_has(events in prop::collection::vec(event(), 1..40)) {
        let mut example = Example::enrolled();
        for event in &events {
            let Some(input) = input(&mut example, event) else { continue };
            if example.input(&input).is_err() {
                continue;
            }
            for (id, tier) in example.tenure.tiers() {
                // Quotas are reserved: however a tree grew, no child can take what its grantor still has.
                let given: u64 = example.tenure.children(id).map(|(_, child)| u64::from(child.quota.keys)).sum();
                if let Input::Order(sent) = &input && matches!(sent.order.verb, Verb::Lease(_)) && sent.order.tier == id {
                    prop_assert!(given <= u64::from(tier.quota.keys));
                }
            }
        }
    }
}
