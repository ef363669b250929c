//! One rule each, of those that the model's menus do not reach.

use id::Nonce;

use super::example::{Example, at, console, controller, directory, key, lease, object, tier_id};
use crate::limits::{DEPTH_MAX, QUOTA_WINDOW_MS};
use crate::order::{
    Boundary, Consent, Consoles, Directory, NewTerms, Power, PowerAction, Reassign, RemoveKey, Renew, Target,
    TryBoundary,
};
use crate::{
    Console, ConsoleAddress, ControllerKey, Freshness, Gate, Grant, Input, Lease, Outcome, Quota, Right,
    Rights, Standing, Step, Terms, Verb, effects,
};

fn target(tier: u8) -> Target {
    Target { tier: tier_id(tier) }
}

fn own(last: u8) -> Verb {
    Verb::Boundary(Boundary { tier: None, object: object(last) })
}

fn given(tier: u8, last: u8) -> Verb {
    Verb::Boundary(Boundary { tier: Some(tier_id(tier)), object: object(last) })
}

fn enrol(number: u8, rights: Rights) -> Verb {
    Verb::EnrolKey(ControllerKey { key: key(number), rights })
}

fn renew(tier: Option<u8>, keep: &[u8]) -> Verb {
    Verb::Renew(Renew {
        tier: tier.map(tier_id),
        keep: keep.iter().copied().map(tier_id).collect(),
        nonce: None,
    })
}

fn reassign(tier: u8, party: u8, keep: &[u8]) -> Verb {
    let keep = keep.iter().copied().map(tier_id).collect();
    let contract = "L-10".to_owned().try_into().unwrap();
    Verb::Reassign(Reassign {
        tier: tier_id(tier),
        contract,
        keys: vec![controller(party, Rights::ALL)],
        keep,
        consoles: vec![console(party)],
    })
}

fn terms(tier: u8) -> NewTerms {
    NewTerms { tier: tier_id(tier), contract: None, terms: None, rights: None, quota: None }
}

fn until(tier: u8, millis: u64) -> Verb {
    Verb::Terms(NewTerms { terms: Some(Terms { until: at(millis), ..Terms::ALWAYS }), ..terms(tier) })
}

/// The code with which the order is refused.
fn refused(example: &mut Example, tier: u8, verb: Verb) -> String {
    example.order(tier, verb).unwrap_err().code()
}

/// Lets `grantor` lease to a new party; the number of the new tier.
fn lease_to(example: &mut Example, grantor: u8, party: u8, quota: Quota) -> u8 {
    let mut args = lease(party, Grant::ALL, 1);
    args.quota = quota;
    example.order(grantor, Verb::Lease(args)).unwrap();
    let new = example.drawn;
    example.finish();
    new
}

#[test]
fn some_key_of_a_tier_can_always_sever_and_enrol() {
    let mut example = Example::four_tiers();
    let remove = Verb::RemoveKey(RemoveKey { key: key(2).id() });
    assert_eq!(refused(&mut example, 2, remove.clone()), "last-key");
    for right in [Right::Sever, Right::EnrolKey] {
        assert_eq!(refused(&mut example, 2, enrol(2, Rights::ALL.without(right))), "last-key");
    }
    example.order(2, enrol(7, Rights::ALL)).unwrap();
    example.order(2, remove).unwrap();
}

#[test]
fn a_suspension_reaches_all_below_and_only_who_made_it_ends_it() {
    let mut example = Example::four_tiers();
    example.order(1, Verb::Suspend(target(2))).unwrap();
    assert_eq!(refused(&mut example, 3, own(1)), "suspended");
    example.order(1, Verb::Resume(target(2))).unwrap();
    example.order(1, Verb::Suspend(target(3))).unwrap();
    example.order(2, Verb::Resume(target(3))).unwrap();
    assert_eq!(example.tenure.standing(tier_id(3)), Standing::Suspended);
    example.order(1, Verb::Resume(target(3))).unwrap();
    // Kept data lives on through a renewal, but not through a suspension.
    example.order(3, renew(None, &[3])).unwrap();
    let gate = |example: &Example| effects(&example.tenure).realm(tier_id(3)).unwrap().gate;
    assert_eq!(gate(&example), Gate::Open);
    example.order(1, Verb::Suspend(target(3))).unwrap();
    assert_eq!(gate(&example), Gate::Cut);
}

#[test]
fn a_quota_of_records_is_for_an_hour_and_nothing_is_had_for_nothing() {
    let mut example = Example::four_tiers();
    let quota = Quota { tiers: 1, keys: 2, objects: 2, records_per_hour: 2, space_mib: 0 };
    let five = lease_to(&mut example, 2, 5, quota);
    let order = |example: &mut Example, verb| {
        let sent = example.sign_as(five, 5, verb);
        example.input(&Input::Order(Box::new(sent))).map_err(|refusal| refusal.code())
    };
    let mut below = lease(6, Grant::ALL, 0);
    below.quota = Quota { keys: 1, ..Quota::default() };
    order(&mut example, Verb::Lease(below)).unwrap();
    let six = example.drawn;
    example.finish();
    order(&mut example, own(1)).unwrap();
    assert_eq!(order(&mut example, own(2)).unwrap_err(), "exceeds-quota");
    // A severing goes through; to say it again while custody is dead is a record like any other.
    order(&mut example, Verb::Sever(target(six))).unwrap();
    assert_eq!(order(&mut example, Verb::Sever(target(six))).unwrap_err(), "exceeds-quota");
    example.now = at(1_000 + QUOTA_WINDOW_MS);
    example.input(&Input::Lapse { at: example.now }).unwrap();
    let before = example.tenure.procedures().cloned().collect::<Vec<_>>();
    let sent = example.sign_as(five, 5, Verb::Sever(target(six)));
    example.input(&Input::Order(Box::new(sent))).unwrap();
    assert!(example.tenure.procedures().eq(before.iter()), "a severing said again restarts nothing");
}

#[test]
fn nobody_gives_more_quota_than_it_has() {
    let mut example = Example::four_tiers();
    let much: [fn(&mut Quota); 4] = [
        |quota| quota.tiers = 1_000,
        |quota| quota.keys = 1_000,
        |quota| quota.objects = 1_000,
        |quota| quota.records_per_hour = 1_000,
    ];
    for more in much {
        let mut args = lease(5, Grant::ALL, 1);
        more(&mut args.quota);
        assert_eq!(refused(&mut example, 2, Verb::Lease(args.clone())), "exceeds-quota");
        let changed = NewTerms { quota: Some(args.quota), ..terms(3) };
        assert_eq!(refused(&mut example, 2, Verb::Terms(changed)), "exceeds-quota");
    }
    // A quota that is taken back above is gone below.
    example.order(1, Verb::Terms(NewTerms { quota: Some(Quota::default()), ..terms(2) })).unwrap();
    assert_eq!(refused(&mut example, 3, own(1)), "exceeds-quota");
}

#[test]
fn keys_are_counted_and_stay_on_the_grantors_account() {
    let mut example = Example::four_tiers();
    let five = lease_to(
        &mut example,
        2,
        5,
        Quota { tiers: 0, keys: 1, objects: 1, records_per_hour: 9, space_mib: 0 },
    );
    let sent = example.sign_as(five, 5, enrol(7, Rights::ALL));
    assert_eq!(example.input(&Input::Order(Box::new(sent))).unwrap_err().code(), "exceeds-quota");
    let used = |example: &Example| example.tenure.tier(tier_id(2)).unwrap().used.keys;
    let before = used(&example);
    example.order(2, Verb::Sever(target(five))).unwrap();
    example.finish();
    assert_eq!(used(&example), before + 1);
}

#[test]
fn a_set_lies_within_all_that_stands_above_it() {
    let mut example = Example::four_tiers();
    example.order(2, given(3, 4)).unwrap();
    assert_eq!(refused(&mut example, 3, own(5)), "exceeds-boundary");
    example.order(2, own(3)).unwrap();
    assert_eq!(refused(&mut example, 2, given(3, 4)), "exceeds-boundary");
    assert_eq!(refused(&mut example, 2, Verb::Lease(lease(5, Grant::ALL, 1))), "exceeds-boundary");
    let builtin = example.tenure.held(object(2)).cloned().unwrap();
    example.tenure.set_builtin(builtin);
    assert_eq!(refused(&mut example, 1, own(3)), "exceeds-boundary");
    example.order(1, own(2)).unwrap();
}

#[test]
fn what_is_changed_later_lies_within_the_grantors_own() {
    let mut example = Example::four_tiers();
    example.order(1, until(2, 6_000)).unwrap();
    assert_eq!(refused(&mut example, 2, until(3, 7_000)), "exceeds-terms");
    let world = effects(&example.tenure);
    assert_eq!((world.realm(tier_id(3)).unwrap().deadline, world.wake_at), (at(6_000), Some(at(6_000))));
    let less = Rights::ALL.without(Right::Volume);
    let grant = Grant { exercise: less, grant: less };
    example.order(1, Verb::Terms(NewTerms { rights: Some(grant), ..terms(2) })).unwrap();
    let all = NewTerms { rights: Some(Grant::ALL), ..terms(3) };
    assert_eq!(refused(&mut example, 2, Verb::Terms(all)), "exceeds-rights");
    assert_eq!(refused(&mut example, 2, enrol(7, Rights::ALL)), "exceeds-rights");
    let mut args = lease(5, grant, 1);
    args.terms.until = at(6_000);
    args.keys = vec![controller(5, Rights::ALL)];
    assert_eq!(refused(&mut example, 2, Verb::Lease(args)), "exceeds-rights");
}

#[test]
fn a_consent_is_to_one_epoch_and_about_what_lies_below() {
    let mut example = Example::four_tiers();
    let epoch = example.tenure.tier(tier_id(2)).unwrap().epoch;
    let consent = |party: Option<u8>| {
        let successor = party.map(|party| vec![key(party).id()]);
        Verb::Consent(Consent { tier: tier_id(2), epoch, successor })
    };
    example.order(3, consent(Some(8))).unwrap();
    example.order(3, consent(None)).unwrap();
    example.order(2, renew(None, &[2, 3])).unwrap();
    example.finish();
    assert_eq!(refused(&mut example, 1, reassign(2, 8, &[3])), "no-consent");
    assert_eq!(refused(&mut example, 2, renew(Some(3), &[2])), "no-consent");
    // New keys begin without the old ones' consents.
    assert!(!example.tenure.tier(tier_id(3)).unwrap().consents.is_empty());
    example.order(3, renew(None, &[])).unwrap();
    assert!(example.tenure.tier(tier_id(3)).unwrap().consents.is_empty());
}

#[test]
fn what_a_party_only_tried_goes_with_it() {
    let mut example = Example::four_tiers();
    let before = example.tenure.tier(tier_id(2)).unwrap().own;
    let seconds = std::num::NonZeroU32::new(60).unwrap();
    example.order(2, Verb::TryBoundary(TryBoundary { object: object(5), seconds })).unwrap();
    assert_eq!(example.tenure.tier(tier_id(2)).unwrap().own, Some(object(5)));
    example.order(1, reassign(2, 8, &[])).unwrap();
    let tier = example.tenure.tier(tier_id(2)).unwrap();
    assert_eq!((tier.own, tier.trial), (before, None));
}

#[test]
fn only_the_grantor_hands_a_lease_on_and_the_old_party_is_out() {
    let mut example = Example::four_tiers();
    let leader = |example: &mut Example, signer, term| {
        let mut sent = example.sign_as(2, signer, own(5));
        sent.order.term = Some(term);
        example.input(&Input::Order(Box::new(sent))).map_err(|refusal| refusal.code())
    };
    leader(&mut example, 2, 5).unwrap();
    leader(&mut example, 2, 6).unwrap();
    assert_eq!(leader(&mut example, 2, 5).unwrap_err(), "past-term");
    assert_eq!(refused(&mut example, 1, reassign(3, 8, &[])), "not-child");
    example.order(1, reassign(2, 8, &[])).unwrap();
    example.finish();
    assert_eq!(refused(&mut example, 2, own(4)), "unknown-key");
    leader(&mut example, 8, 1).unwrap();
}

#[test]
fn a_nonce_is_of_the_tier_that_asked_for_it() {
    let mut example = Example::four_tiers();
    let nonce = Nonce::from_bytes([5; 16]);
    example.tenure.offer_nonce(tier_id(3), nonce);
    for (tier, wanted) in [(4, Err("unknown-nonce".to_owned())), (3, Ok(()))] {
        let mut sent = example.sign(tier, own(5));
        sent.order.freshness = Freshness::Nonce(nonce);
        let answer = example.input(&Input::Order(Box::new(sent)));
        assert_eq!(answer.map(|_| ()).map_err(|refusal| refusal.code()), wanted);
    }
    let mut late = example.sign(4, own(5));
    late.order.freshness = Freshness::NotAfter(example.now);
    assert_eq!(example.input(&Input::Order(Box::new(late))).unwrap_err().code(), "expired");
}

#[test]
fn a_tier_that_is_being_ended_says_nothing_more() {
    let mut example = Example::four_tiers();
    example.order(1, Verb::Sever(target(2))).unwrap();
    assert_eq!(refused(&mut example, 3, own(1)), "busy");
    assert_eq!(refused(&mut example, 2, Verb::Sever(target(3))), "busy");
    assert!([2, 3, 4].map(tier_id).map(|tier| example.tenure.standing(tier)) == [Standing::Ending; 3]);
}

#[test]
fn a_severing_and_a_renewal_take_every_depth_below_along() {
    let mut example = Example::four_tiers();
    let little = Quota { tiers: 0, keys: 1, objects: 1, records_per_hour: 1, space_mib: 0 };
    let five = lease_to(&mut example, 3, 5, little);
    let tiers = [2, 3, 4, five].map(tier_id);
    let data = |example: &Example| tiers.map(|tier| example.tenure.tier(tier).unwrap().data);
    let before = data(&example);
    example.order(1, renew(Some(2), &[])).unwrap();
    let after = data(&example);
    assert!(before.iter().zip(after).all(|(old, new)| new.life == old.life + 1 && new.salt == old.salt + 1));
    let world = effects(&example.tenure);
    for tier in tiers {
        assert_eq!(example.tenure.tier(tier).unwrap().identity, None);
        assert!(!world.realm(tier).unwrap().courier);
    }
    // The severing takes over from the renewal; no tier stands in two procedures.
    example.order(1, Verb::Sever(target(3))).unwrap();
    let parts: Vec<_> =
        example.tenure.procedures().flat_map(|p| p.parts.iter().map(|part| part.tier)).collect();
    assert_eq!(parts.len(), 4);
    assert!(example.tenure.tier(tier_id(five)).unwrap().ending);
    example.finish();
    assert_eq!(example.tenure.tiers().count(), 3);
}

#[test]
fn a_new_identity_is_of_the_new_epoch() {
    let mut example = Example::four_tiers();
    example.order(3, renew(None, &[3])).unwrap();
    let mut outcome = example.outcome().unwrap();
    assert_eq!(outcome.step, Step::Remade);
    for made in &mut outcome.made {
        made.epoch = id::Epoch::new(1).unwrap();
    }
    let told = example.input(&Input::Outcome(outcome.clone())).unwrap_err();
    assert_eq!(told.code(), "wrong-identity");
    let nothing = Outcome { made: Vec::new(), ..outcome };
    assert_eq!(example.input(&Input::Outcome(nothing)).unwrap_err().code(), "wrong-identity");
}

#[test]
fn a_tree_has_a_greatest_depth_and_no_name_twice() {
    let mut example = Example::enrolled();
    let mut grantor = 1;
    let deepest = u8::try_from(DEPTH_MAX).unwrap();
    for depth in 1..=deepest {
        let new = depth + 1;
        let args = lease(new, Grant::ALL, 4 * u32::from(deepest - depth) + 1);
        let sent = example.sign_as(grantor, grantor, Verb::Lease(args));
        let answer = example.input(&Input::Order(Box::new(sent)));
        if depth == deepest {
            assert_eq!(answer.unwrap_err().code(), "limit");
            break;
        }
        answer.unwrap();
        grantor = example.drawn;
        example.finish();
    }
    assert_eq!(refused(&mut example, 1, Verb::Lease(lease(2, Grant::ALL, 1))), "name-taken");
}

#[test]
fn a_key_in_two_tiers_has_one_row_of_sequences() {
    let mut example = Example::four_tiers();
    let mut args = lease(5, Grant::ALL, 0);
    args.keys = vec![controller(3, Rights::ALL)];
    args.quota = Quota { tiers: 0, keys: 1, objects: 1, records_per_hour: 9, space_mib: 0 };
    example.order(2, Verb::Lease(args)).unwrap();
    let five = example.drawn;
    example.finish();
    example.order(3, own(5)).unwrap();
    let mut sent = example.sign_as(five, 3, own(5));
    sent.order.seq = example.tenure.last_sequence(key(3).id()).unwrap();
    assert_eq!(example.input(&Input::Order(Box::new(sent))).unwrap_err().code(), "used-sequence");
}

#[test]
fn what_is_switched_off_above_does_not_run_below() {
    let mut example = Example::four_tiers();
    let off = Verb::Power(Power { tier: Some(tier_id(2)), action: PowerAction::Off });
    example.order(1, off).unwrap();
    assert!([2, 3, 4].iter().all(|tier| !effects(&example.tenure).realm(tier_id(*tier)).unwrap().engines));
    let quota = Quota { tiers: 1, keys: 9, objects: 9, records_per_hour: 9, space_mib: 0 };
    example.order(2, Verb::Terms(NewTerms { quota: Some(quota), ..terms(3) })).unwrap();
    assert_eq!(example.tenure.tier(tier_id(3)).unwrap().quota, quota);
}

#[test]
fn consoles_are_few_and_each_stands_once() {
    let mut example = Example::four_tiers();
    let named = |numbers: &[u8]| {
        Verb::Consoles(Consoles { consoles: numbers.iter().copied().map(console).collect() })
    };
    for (numbers, code) in
        [([].as_slice(), "bad-consoles"), (&[5, 5], "bad-consoles"), (&[1, 2, 3, 4, 5], "limit")]
    {
        assert_eq!(refused(&mut example, 3, named(numbers)), code);
    }
    let with = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        Verb::Consoles(Consoles { consoles: vec![Console { addresses, ..console(5) }] })
    };
    let (one, other) = ("10.0.0.1:1", "[fd00::1]:1");
    let five = [one, other, "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
    for (addresses, code) in [(&[][..], "bad-consoles"), (&[one, one], "bad-consoles"), (&five, "limit")] {
        assert_eq!(refused(&mut example, 3, with(addresses)), code);
    }
    example.order(3, with(&[one, other])).unwrap();
    let world = effects(&example.tenure);
    assert_eq!(world.realm(tier_id(3)).unwrap().consoles[0].addresses[1].to_string(), other);
    let none = Lease { consoles: vec![console(5); 2], ..lease(5, Grant::ALL, 1) };
    assert_eq!(refused(&mut example, 2, Verb::Lease(none)), "bad-consoles");
    let none = Lease { consoles: Vec::new(), ..lease(5, Grant::ALL, 1) };
    example.order(2, Verb::Lease(none)).unwrap();
    let five = tier_id(example.drawn);
    example.finish();
    assert!(!effects(&example.tenure).realm(five).unwrap().courier, "a courier that has nobody to dial");
}

/// The node dials for its tiers from its own address: those below the root send it neither to itself nor to its link.
#[test]
fn a_tier_below_the_root_has_no_console_on_the_node_itself() {
    let mut example = Example::four_tiers();
    for text in ["127.0.0.1:22", "127.9.9.9:7443", "[::1]:7443", "169.254.169.254:80", "[fe80::1]:7443"] {
        let consoles = vec![Console { addresses: vec![text.parse().unwrap()], ..console(5) }];
        let own = Verb::Consoles(Consoles { consoles: consoles.clone() });
        assert_eq!(refused(&mut example, 2, own.clone()), "bad-consoles", "{text}");
        let given = Verb::Lease(Lease { consoles, ..lease(5, Grant::ALL, 1) });
        assert_eq!(refused(&mut example, 2, given), "bad-consoles", "{text}");
        example.order(1, own).unwrap();
    }
}

#[test]
fn an_address_of_a_console_has_one_spelling_and_can_be_dialled() {
    for text in ["10.0.0.2:7443", "[fd00:10::2]:7443"] {
        assert_eq!(text.parse::<ConsoleAddress>().unwrap().to_string(), text);
    }
    for text in [
        "",
        "10.0.0.2",
        "10.0.0.2:0",
        "10.0.0.2:07443",
        "console.example:7443",
        "0.0.0.0:1",
        "224.0.0.1:1",
        "255.255.255.255:1",
        "[::]:1",
        "[ff02::1]:1",
        "[fd00:0010::2]:7443",
        "[fe80::1%2]:7443",
        "[::ffff:10.0.0.2]:7443",
    ] {
        assert!(text.parse::<ConsoleAddress>().is_err(), "{text:?}");
    }
}

#[test]
fn the_key_for_directories_is_the_grantors() {
    let mut example = Example::four_tiers();
    assert_eq!(example.tenure.tier(tier_id(3)).unwrap().directory, Some(key(90)));
    let with = |number| Verb::Lease(Lease { directory: Some(key(number)), ..lease(5, Grant::ALL, 1) });
    assert_eq!(refused(&mut example, 2, with(91)), "wrong-directory");
    example.order(2, with(90)).unwrap();
}

#[test]
fn a_directory_is_the_roots_signed_by_its_key_and_never_goes_back() {
    let mut example = Example::four_tiers();
    let names = |serial| Verb::Directory(Directory { object: directory(serial) });
    assert_eq!(refused(&mut example, 2, names(5)), "not-root");
    assert_eq!(refused(&mut example, 1, names(8)), "wrong-directory");
    assert_eq!(refused(&mut example, 1, names(9)), "unknown-object");
    example.order(1, names(6)).unwrap();
    for old in [5, 6] {
        assert_eq!(refused(&mut example, 1, names(old)), "past-directory");
    }
    // Nor after a start from a snapshot.
    let snapshot = serde_json::to_string(&example.tenure).unwrap();
    let mut restarted: crate::Tenure = serde_json::from_str(&snapshot).unwrap();
    assert!(restarted.named_objects().contains(&directory(6)));
    restarted.hold_directory(directory(5), key(90), 5);
    let sent = Input::Order(Box::new(example.sign(1, names(5))));
    assert_eq!(crate::decide(&restarted, &sent).unwrap_err().code(), "past-directory");
    example.tenure.release_unnamed();
    assert_eq!(refused(&mut example, 1, names(7)), "unknown-object");
    assert_eq!(effects(&example.tenure).directory, Some(directory(6)));
}

#[test]
fn a_renewals_nonce_goes_with_its_procedure() {
    let mut example = Example::four_tiers();
    let nonce = Some(Nonce::from_bytes([9; 16]));
    example.order(3, Verb::Renew(Renew { tier: None, keep: Vec::new(), nonce })).unwrap();
    assert_eq!(example.tenure.procedures().next().unwrap().nonce, nonce);
}
