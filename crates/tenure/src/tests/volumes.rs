//! Volumes are a tier's own, within its space; they close when it may not act, and end with its data.

use super::example::{Example, controller, lease, tier_id};
use crate::limits::VOLUMES_PER_TIER_MAX;
use crate::order::{Consent, NewVolume, Reassign, RemoveVolume, Renew, Target};
use crate::{Grant, Input, QuotaKind, Refusal, Right, Rights, SizeMib, Verb, WantedVolume, effects, view};

fn make(name: &str, size_mib: u32) -> Verb {
    Verb::Volume(NewVolume { name: name.parse().unwrap(), size_mib: SizeMib::try_from(size_mib).unwrap() })
}

fn remove(name: &str) -> Verb {
    Verb::RemoveVolume(RemoveVolume { name: name.parse().unwrap() })
}

fn wanted(example: &Example, tier: u8) -> Vec<WantedVolume> {
    effects(&example.tenure).realm(tier_id(tier)).unwrap().volumes.clone()
}

fn open(example: &Example, tier: u8) -> Vec<bool> {
    wanted(example, tier).iter().map(|volume| volume.open).collect()
}

#[test]
fn a_volume_under_an_old_name_is_another() {
    let mut example = Example::four_tiers();
    example.order(3, make("data", 16)).unwrap();
    // Saying it again is saying it once; another size is another volume.
    example.order(3, make("data", 16)).unwrap();
    assert_eq!(example.order(3, make("data", 17)), Err(Refusal::NameTaken { name: "data".parse().unwrap() }));
    assert_eq!(wanted(&example, 3)[0].volume.number, 1);
    example.order(3, remove("data")).unwrap();
    assert!(wanted(&example, 3).is_empty());
    assert!(matches!(example.order(3, remove("data")), Err(Refusal::UnknownVolume { .. })));
    example.order(3, make("data", 17)).unwrap();
    assert_eq!(wanted(&example, 3)[0].volume.number, 2);
}

#[test]
fn sizes_have_a_least_and_a_most() {
    for wrong in [0, 15, (1 << 30) + 1] {
        assert!(SizeMib::try_from(wrong).is_err());
    }
    assert_eq!(SizeMib::try_from(16).unwrap().bytes(), 16 * 1024 * 1024);
}

#[test]
fn volumes_stay_within_the_leases_space() {
    let mut example = Example::enrolled();
    let mut narrow = lease(2, Grant::ALL, 2);
    narrow.quota.space_mib = 100;
    example.order(1, Verb::Lease(narrow)).unwrap();
    example.finish();
    let refused = |left| Err(Refusal::ExceedsQuota { what: QuotaKind::SpaceMib, left });
    assert_eq!(example.order(2, make("data", 101)), refused(100));
    example.order(2, make("data", 60)).unwrap();
    assert_eq!(example.order(2, make("more", 41)), refused(40));
    // What is used is not given on, and what is given on is not used.
    let mut below = lease(3, Grant::ALL, 1);
    below.quota.space_mib = 41;
    assert_eq!(example.order(2, Verb::Lease(below.clone())), refused(40));
    below.quota.space_mib = 24;
    example.order(2, Verb::Lease(below)).unwrap();
    example.finish();
    assert_eq!(example.order(2, make("more", 17)), refused(16));
    // Ids are drawn by the order.
    let all_of_it = example.sign_as(7, 3, make("data", 24));
    example.input(&Input::Order(Box::new(all_of_it))).unwrap();
    example.order(2, remove("data")).unwrap();
    example.order(2, make("more", 76)).unwrap();
}

#[test]
fn a_tier_has_few_volumes() {
    let mut example = Example::enrolled();
    for number in 0..=VOLUMES_PER_TIER_MAX {
        let made = example.order(1, make(&format!("v{number}"), 16));
        assert_eq!(made.is_ok(), number < VOLUMES_PER_TIER_MAX, "{made:?}");
    }
}

#[test]
fn nobody_makes_volumes_without_the_right_and_no_upper_tier_sees_their_names() {
    let mut example = Example::enrolled();
    let all_but = Grant { exercise: Rights::ALL.without(Right::Volume), grant: Rights::ALL };
    example.order(1, Verb::Lease(lease(2, all_but, 8))).unwrap();
    example.finish();
    example.order(2, Verb::Lease(lease(3, Grant::ALL, 2))).unwrap();
    example.finish();
    for verb in [make("data", 16), remove("data")] {
        assert_eq!(example.order(2, verb), Err(Refusal::TierLacksRight { right: Right::Volume }));
    }
    let before = view(&example.tenure, tier_id(2)).unwrap();
    example.order(3, make("data", 16)).unwrap();
    assert_eq!(view(&example.tenure, tier_id(2)).unwrap(), before);
    assert_eq!(view(&example.tenure, tier_id(3)).unwrap().volumes.len(), 1);
}

#[test]
fn a_suspension_or_a_lapse_closes_and_erases_nothing() {
    let mut example = Example::four_tiers();
    example.order(3, make("data", 16)).unwrap();
    assert_eq!(open(&example, 3), [true]);
    example.order(1, Verb::Suspend(Target { tier: tier_id(2) })).unwrap();
    assert_eq!(open(&example, 3), [false]);
    example.order(1, Verb::Resume(Target { tier: tier_id(2) })).unwrap();
    assert_eq!((open(&example, 3), wanted(&example, 3)[0].volume.number), (vec![true], 1));
}

#[test]
fn what_is_erased_has_no_volumes_and_what_is_kept_has() {
    let forced = Verb::Renew(Renew { tier: Some(tier_id(3)), keep: Vec::new(), nonce: None });
    let own = |keep| Verb::Renew(Renew { tier: None, keep, nonce: None });
    for (by, verb, kept) in
        [(2, forced, false), (3, own(Vec::new()), false), (3, own(vec![tier_id(3)]), true)]
    {
        let mut example = Example::four_tiers();
        example.order(3, make("data", 16)).unwrap();
        example.order(by, verb).unwrap();
        // Kept data stays open throughout.
        assert_eq!(open(&example, 3), if kept { vec![true] } else { Vec::new() });
        example.finish();
        assert_eq!(open(&example, 3), if kept { vec![true] } else { Vec::new() });
        let path = &effects(&example.tenure).realm(tier_id(3)).unwrap().path.clone();
        assert_eq!(path.iter().map(|(_, epoch)| epoch.get()).collect::<Vec<_>>(), [1, 1, 2]);
        example.order(3, make("more", 16)).unwrap();
        assert_eq!(wanted(&example, 3).last().unwrap().volume.number, 2, "numbers are not used again");
    }
}

#[test]
fn the_next_party_has_the_volumes_with_the_data_alone() {
    for kept in [true, false] {
        let mut example = Example::four_tiers();
        example.order(3, make("data", 16)).unwrap();
        let epoch = example.tenure.tier(tier_id(3)).unwrap().epoch;
        let keys = vec![controller(5, Rights::ALL)];
        let successor = Some(keys.iter().map(|key| key.key.id()).collect());
        example.order(3, Verb::Consent(Consent { tier: tier_id(3), epoch, successor })).unwrap();
        let keep = if kept { vec![tier_id(3)] } else { Vec::new() };
        let contract = "L-10".to_owned().try_into().unwrap();
        let reassign = Reassign { tier: tier_id(3), contract, keys, keep, consoles: Vec::new() };
        example.order(2, Verb::Reassign(reassign)).unwrap();
        example.finish();
        assert_eq!(wanted(&example, 3).len(), usize::from(kept));
    }
}
