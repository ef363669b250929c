//! Short stories, one a promise, as a reader would tell them.

use super::example::{Example, at, tier_id};
use crate::{Boundary, Gate, Input, Refusal, Standing, Step, Target, Verb, effects};

#[test]
fn a_lease_opens_a_realm_and_a_severing_ends_it_in_the_fixed_order() {
    let mut example = Example::four_tiers();
    assert_eq!(effects(&example.tenure).realm(tier_id(3)).unwrap().gate, Gate::Open);

    example.order(1, Verb::Sever(Target { tier: tier_id(2) })).unwrap();
    let world = effects(&example.tenure);
    assert!(
        world.realms.iter().filter(|realm| realm.tier != tier_id(1)).all(|realm| realm.gate == Gate::Cut)
    );
    let mut steps = Vec::new();
    while let Some(next) = example.next_step() {
        steps.push(next);
        example.step();
    }
    use Step::{Closed, CourierGone, Cut, EnginesKilled, Receipt, SecretGone};
    assert_eq!(steps, [Cut, SecretGone, CourierGone, EnginesKilled, Closed, Receipt]);
    assert_eq!(example.tenure.tiers().count(), 1);
}

#[test]
fn a_wider_boundary_is_refused_with_a_packet() {
    let mut example = Example::four_tiers();
    example.order(2, Verb::Boundary(Boundary { tier: None, object: super::example::object(3) })).unwrap();
    let refusal = example
        .order(3, Verb::Boundary(Boundary { tier: None, object: super::example::object(5) }))
        .unwrap_err();
    assert_eq!(refusal.code(), "exceeds-boundary");
    let Refusal::ExceedsBoundary { witness } = &refusal else { panic!("{refusal}") };
    assert_eq!(witness["upper_tier"], 1);
    assert!(witness["packet"]["remote"].is_string());
    assert_eq!(refusal.exit_code(), 3);
}

#[test]
fn a_term_that_ends_suspends_and_comes_back() {
    let mut example = Example::four_tiers();
    let mut terms = crate::Terms::ALWAYS;
    terms.until = at(5_000);
    let change =
        crate::NewTerms { tier: tier_id(3), contract: None, terms: Some(terms), rights: None, quota: None };
    example.order(2, Verb::Terms(change.clone())).unwrap();
    let data = example.tenure.tier(tier_id(3)).unwrap().data;
    example.input(&Input::Lapse { at: at(5_000) }).unwrap();
    assert_eq!(example.tenure.standing(tier_id(3)), Standing::NotInTerm);
    assert_eq!(example.tenure.tier(tier_id(3)).unwrap().data, data);
    let refused =
        example.order(3, Verb::Boundary(Boundary { tier: None, object: super::example::object(1) }));
    assert!(matches!(refused, Err(Refusal::NotInTerm { .. })));
    terms.until = at(9_000);
    example.order(2, Verb::Terms(crate::NewTerms { terms: Some(terms), ..change })).unwrap();
    assert_eq!(example.tenure.standing(tier_id(3)), Standing::InForce);
}

#[test]
fn inputs_changes_and_snapshots_read_back_from_json() {
    let mut example = Example::four_tiers();
    let input = Input::Order(Box::new(example.sign(2, Verb::Sever(Target { tier: tier_id(3) }))));
    let text = serde_json::to_string(&input).unwrap();
    assert_eq!(serde_json::from_str::<Input>(&text).unwrap(), input);
    let value = serde_json::to_value(&input).unwrap();
    assert_eq!(serde_json::from_value::<Input>(value).unwrap(), input);
    let snapshot = serde_json::to_string(&example.tenure).unwrap();
    assert_eq!(serde_json::from_str::<crate::Tenure>(&snapshot).unwrap(), example.tenure);
    let changes = serde_json::to_string(&example.record).unwrap();
    assert_eq!(serde_json::from_str::<Vec<crate::Change>>(&changes).unwrap(), example.record);
}
