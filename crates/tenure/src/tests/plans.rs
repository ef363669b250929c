//! What a plan says before anything is done, and what a view shows.

use expect_test::{Expect, expect};

use super::example::{Example, controller, object, tier_id};
use crate::order::{Boundary, NewTerms, Reassign, Renew, Target};
use crate::{Grant, Input, Right, Rights, Terms, Verb, plan, view};

/// The consequences of an order of `tier` for four tiers, a line each.
fn check(tier: u8, verb: Verb, wanted: &Expect) {
    let mut example = Example::four_tiers();
    let input = Input::Order(Box::new(example.sign(tier, verb)));
    let before = example.tenure.clone();
    let planned = plan(&example.tenure, &input).unwrap();
    assert_eq!(example.tenure, before);
    assert_eq!(example.input(&input).unwrap(), planned.changes, "the node does what was planned");
    let lines: Vec<String> = planned.consequences.iter().map(|what| format!("{what}\n")).collect();
    wanted.assert_eq(&lines.concat());
}

#[test]
fn a_plan_says_who_ends_and_what_is_lost() {
    check(
        1,
        Verb::Sever(Target { tier: tier_id(2) }),
        &expect![[r#"
        tier-2: ends
        tier-2: its stored data becomes unreadable for ever
        tier-2: its realm is cut off
        tier-2: its engines stop
        tier-3: ends
        tier-3: its stored data becomes unreadable for ever
        tier-3: its realm is cut off
        tier-3: its engines stop
        tier-4: ends
        tier-4: its stored data becomes unreadable for ever
        tier-4: its realm is cut off
        tier-4: its engines stop
    "#]],
    );
}

#[test]
fn a_plan_of_a_renewal_says_what_is_kept_and_what_that_means() {
    check(
        2,
        Verb::Renew(Renew { tier: None, keep: vec![tier_id(2)], nonce: None }),
        &expect![[r#"
        tier-2: its stored data is kept; who had the data's key before still has it
        tier-2: its identity on the node is replaced
        tier-3: its stored data becomes unreadable for ever
        tier-3: its identity on the node is replaced
        tier-3: its realm is cut off
        tier-3: its engines stop
        tier-4: its stored data becomes unreadable for ever
        tier-4: its identity on the node is replaced
        tier-4: its realm is cut off
        tier-4: its engines stop
    "#]],
    );
}

#[test]
fn a_plan_says_who_passes_to_another_party() {
    let keys = vec![controller(8, Rights::ALL)];
    let contract = "L-10".to_owned().try_into().unwrap();
    check(
        1,
        Verb::Reassign(Reassign { tier: tier_id(2), contract, keys, keep: Vec::new(), consoles: Vec::new() }),
        &expect![[r#"
            tier-2: its stored data becomes unreadable for ever
            tier-2: its identity on the node is replaced
            tier-2: passes to another party's keys
            tier-2: its realm is cut off
            tier-2: its engines stop
            tier-3: its stored data becomes unreadable for ever
            tier-3: its identity on the node is replaced
            tier-3: its realm is cut off
            tier-3: its engines stop
            tier-4: its stored data becomes unreadable for ever
            tier-4: its identity on the node is replaced
            tier-4: its realm is cut off
            tier-4: its engines stop
        "#]],
    );
}

#[test]
fn a_plan_says_what_overhangs_after_a_tightening() {
    let rights = Grant { exercise: Rights::ALL, grant: Rights::ALL.without(Right::Power) };
    let terms = Terms { until: super::example::at(9_000), ..Terms::ALWAYS };
    let new =
        NewTerms { tier: tier_id(2), contract: None, terms: Some(terms), rights: Some(rights), quota: None };
    check(
        1,
        Verb::Terms(new),
        &expect![[r#"
        tier-2: runs until 1970-01-01T00:00:09Z
        tier-3: loses the rights power
        tier-3: runs until 1970-01-01T00:00:09Z
        tier-3: its lease says more than those above admit; the lesser holds
        tier-4: loses the rights power
        tier-4: runs until 1970-01-01T00:00:09Z
        tier-4: its lease says more than those above admit; the lesser holds
    "#]],
    );
}

#[test]
fn a_plan_says_whom_a_boundary_binds() {
    check(
        1,
        Verb::Boundary(Boundary { tier: Some(tier_id(2)), object: object(4) }),
        &expect![[r#"
        tier-2: other filter sets bind it, 1 along its path
        tier-3: other filter sets bind it, 2 along its path
        tier-4: other filter sets bind it, 2 along its path
    "#]],
    );
}

#[test]
fn a_view_shows_what_a_tier_does_itself_and_nothing_of_its_sibling() {
    let mut example = Example::four_tiers();
    let before = (view(&example.tenure, tier_id(3)).unwrap(), view(&example.tenure, tier_id(4)).unwrap());
    example.order(3, Verb::Boundary(Boundary { tier: None, object: object(4) })).unwrap();
    let after = (view(&example.tenure, tier_id(3)).unwrap(), view(&example.tenure, tier_id(4)).unwrap());
    assert_ne!(before.0, after.0);
    assert_eq!(before.1, after.1);
    let shown = serde_json::to_string(&after.1).unwrap();
    assert!(!shown.contains(&tier_id(3).to_string()), "a sibling shows: {shown}");
}
