//! What is explored: beginnings, menus, and what else may happen in each.

use super::menu::{
    Item, attempt, boundary, consent, consoles, enrol, grant, grant_of, names, power, reassign, remove,
    renew, resume, sever, suspend, until, without,
};
use super::state::Fresher;
use crate::tests::example::{Example, controller, lease, rights, tier_id};
use crate::{Grant, NewTerms, Right, Rights, Terms, Verb};
use id::Time;

/// One corner of what can happen, small enough to be explored whole.
#[derive(Clone)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) begin: fn() -> Example,
    pub(super) menu: Vec<Item>,
    /// How many orders the network may hold back or repeat.
    pub(super) sent_max: usize,
    /// Whether procedures run to their end at once.
    pub(super) eager: bool,
    /// Whether BMonitor and custody may die.
    pub(super) crashes: bool,
    /// What the clock may show.
    pub(super) clock: Vec<u64>,
    /// The tiers that may ask for a nonce.
    pub(super) nonces: Vec<u8>,
    /// Actions in a row, in CI.
    pub(super) depth: usize,
}

impl Scenario {
    /// All of them, the small ones first.
    pub(super) fn all() -> Vec<Self> {
        vec![
            limits(),
            directory(),
            trial(),
            reassignment(),
            renewal(),
            terms(),
            readding(),
            replay(),
            everything(),
            resilience(),
            severing(),
        ]
    }

    fn new(name: &'static str, depth: usize, menu: Vec<Item>) -> Self {
        Self {
            name,
            begin: Example::four_tiers,
            menu,
            sent_max: 0,
            eager: true,
            crashes: false,
            clock: Vec::new(),
            nonces: Vec::new(),
            depth,
        }
    }
}

/// Severing step by step, with crashes, a dead custody and outcomes out of order.
fn severing() -> Scenario {
    let menu = vec![
        Item::new("the owner severs the operator", 1, |_| sever(2)),
        Item::new("the operator severs user 3", 2, |_| sever(3)),
        Item::new("the owner leases to a new party", 1, |_| grant(5)),
        Item::new("the operator leases to a new party", 2, |_| grant_of(6, Rights::ALL)),
    ];
    Scenario { eager: false, crashes: true, ..Scenario::new("severing", 9, menu) }
}

/// Renewals in progress, suspensions and used-up quotas, and a severing on top of them.
fn resilience() -> Scenario {
    let menu = vec![
        Item::new("the owner severs user 3", 1, |_| sever(3)),
        Item::new("the operator severs user 3", 2, |_| sever(3)),
        Item::new("the operator renews its own keys", 2, |_| renew(None, &[])),
        Item::new("user 3 renews its own keys and keeps its data", 3, |_| renew(None, &[3])),
        Item::new("the owner suspends the operator", 1, |_| suspend(2)),
        Item::new("user 3 sets its own boundary", 3, |_| boundary(None, 2)),
    ];
    Scenario { begin: small_quotas, eager: false, crashes: true, ..Scenario::new("resilience", 7, menu) }
}

/// The operator may have three orders an hour recorded, the users one.
fn small_quotas() -> Example {
    let mut example = Example::enrolled();
    for (grantor, new, records) in [(1, 2, 5), (2, 3, 1), (2, 4, 1)] {
        let mut args = lease(new, Grant::ALL, if new == 2 { 8 } else { 1 });
        args.quota.records_per_hour = records;
        example.order(grantor, Verb::Lease(args)).unwrap();
        example.finish();
    }
    example
}

/// A key removed and added again, while its orders are still on their way.
fn readding() -> Scenario {
    let menu = vec![
        Item::new("the operator enrols key 7", 2, |_| enrol(7, Rights::ALL)),
        Item::new("the operator removes key 7", 2, |_| remove(7)),
        Item::new("key 7 sets the operator's boundary", 2, |_| boundary(None, 4)).by(7),
    ];
    Scenario { sent_max: 2, ..Scenario::new("re-adding", 7, menu) }
}

/// Leases ended and granted again, orders held back and repeated.
fn replay() -> Scenario {
    let menu = vec![
        Item::new("the operator severs user 3", 2, |_| sever(3)),
        Item::new("user 3 sets its own boundary", 3, |_| boundary(None, 2)),
        Item::new("the operator leases to the party of user 3 again", 2, |_| grant(3)),
        Item::new("user 3's party sets its boundary under the next lease", 5, |_| boundary(None, 1)).by(3),
        Item::new("the operator hands user 4's lease to the same party", 2, |_| reassign(4, 4, &[])),
        Item::new("user 4 uses sequence 1 again", 4, |_| boundary(None, 4)).numbered(1),
        Item::new("user 4 renews its own keys", 4, |_| renew(None, &[])),
        Item::new("user 4 sets its own boundary, by a nonce", 4, |_| boundary(None, 3)).fresh(Fresher::Nonce),
        Item::new("user 4 obeys leader 2", 4, |_| boundary(None, 3)).leader(2),
        Item::new("user 4 obeys leader 1", 4, |_| boundary(None, 3)).leader(1),
    ];
    Scenario { sent_max: 2, nonces: vec![4], ..Scenario::new("replay", 4, menu) }
}

/// Crashes, a dead custody, orders held back and repeated, and a clock that goes on and back, all at once.
fn everything() -> Scenario {
    let menu = vec![
        Item::new("the operator severs user 3", 2, |_| sever(3)),
        Item::new("the operator leases to the party of user 3 again", 2, |_| grant(3)),
        Item::new("the operator grants user 3 until 5000", 2, |_| until(3, 5_000)),
        Item::new("user 4 sets its own boundary, by a nonce", 4, |_| boundary(None, 3)).fresh(Fresher::Nonce),
    ];
    let scenario = Scenario::new("everything", 7, menu);
    Scenario {
        sent_max: 2,
        eager: false,
        crashes: true,
        clock: vec![6_000, 2_000],
        nonces: vec![4],
        ..scenario
    }
}

/// Renewal from below and above, with and without consent.
fn renewal() -> Scenario {
    let menu = vec![
        Item::new("the owner renews its own keys", 1, |_| renew(None, &[1])),
        Item::new("the owner renews the operator's keys", 1, |_| renew(Some(2), &[])),
        Item::new("the owner renews the operator's keys, keeping user 3's data", 1, |_| renew(Some(2), &[3])),
        Item::new("the owner renews user 3's keys, keeping its data", 1, |_| renew(Some(3), &[3])),
        Item::new("the operator renews its own keys, keeping all data", 2, |_| renew(None, &[2, 3, 4])),
        Item::new("user 3 renews its own keys", 3, |_| renew(None, &[])),
        Item::new("user 3 renews the operator's keys", 3, |_| renew(Some(2), &[])),
        Item::new("user 3 renews user 4's keys", 3, |_| renew(Some(4), &[])),
        Item::new("user 3 consents to the operator's renewal", 3, |tenure| consent(tenure, 2, None)),
        Item::new("user 3 consents to its own renewal", 3, |tenure| consent(tenure, 3, None)),
        Item::new("user 4 consents to the operator's renewal", 4, |tenure| consent(tenure, 2, None)),
    ];
    Scenario { sent_max: 1, ..Scenario::new("renewal", 5, menu) }
}

/// The operator's lease passes to another party.
fn reassignment() -> Scenario {
    let menu = vec![
        Item::new("the owner hands the operator's lease to party 8", 1, |_| reassign(2, 8, &[])),
        Item::new("the owner hands it to party 8, keeping user 3's data", 1, |_| reassign(2, 8, &[3])),
        Item::new("the owner hands it to party 9, keeping user 3's data", 1, |_| reassign(2, 9, &[3])),
        Item::new("the operator hands its own lease to party 9", 2, |_| reassign(2, 9, &[])),
        Item::new("user 3 hands the operator's lease to party 9", 3, |_| reassign(2, 9, &[])),
        Item::new("user 3 consents to party 8", 3, |tenure| consent(tenure, 2, Some(8))),
        Item::new("user 3 consents to party 9", 3, |tenure| consent(tenure, 2, Some(9))),
        Item::new("the operator's old key suspends user 3", 2, |_| suspend(3)),
        Item::new("the operator has another console", 2, |_| consoles(7)),
        Item::new("party 8 suspends user 3", 2, |_| suspend(3)).by(8),
        Item::new("party 8 resumes user 3", 2, |_| resume(3)).by(8),
    ];
    Scenario { sent_max: 1, ..Scenario::new("reassignment", 5, menu) }
}

/// Rights and filters: reaching above, beside and beyond.
fn limits() -> Scenario {
    let menu = vec![
        Item::new("the owner narrows the operator's boundary", 1, |_| boundary(Some(2), 4)),
        Item::new("the operator sets its own boundary", 2, |_| boundary(None, 6)),
        Item::new("user 3 sets a narrow boundary", 3, |_| boundary(None, 5)),
        Item::new("user 3 sets a wide boundary", 3, |_| boundary(None, 8)),
        Item::new("user 3 sets the operator's boundary", 3, |_| boundary(Some(2), 9)),
        Item::new("user 3 suspends user 4", 3, |_| suspend(4)),
        Item::new("user 3 severs the operator", 3, |_| sever(2)),
        Item::new("the operator suspends user 3", 2, |_| suspend(3)),
        Item::new("the operator switches itself off, which it may only grant", 2, |_| power(None)),
        Item::new("the owner withdraws the right to set boundaries", 1, |_| without(2, Right::Boundary)),
        Item::new("the operator grants user 3 all but one right", 2, |_| without(3, Right::Volume)),
        Item::new("the operator leases more than it has", 2, |_| grant(5)),
        Item::new("the operator's boundary key severs user 3", 2, |_| sever(3)).by(22),
        Item::new("the operator's boundary key enrols one that may sever", 2, |_| {
            enrol(9, rights(&[Right::Boundary, Right::Sever]))
        })
        .by(22),
        Item::new("user 3 names user 4's lease", 3, |_| boundary(None, 5)).under_lease_of(4),
    ];
    Scenario { begin: graded, ..Scenario::new("limits", 5, menu) }
}

/// Directories that are older, of another key or from below, held back and repeated, with crashes.
fn directory() -> Scenario {
    let menu = vec![
        Item::new("the owner puts directory 5 in force", 1, |_| names(5)),
        Item::new("the owner puts directory 6 in force", 1, |_| names(6)),
        Item::new("the owner puts directory 8 in force, of another key", 1, |_| names(8)),
        Item::new("the operator puts directory 7 in force", 2, |_| names(7)),
        Item::new("the owner renews its own keys", 1, |_| renew(None, &[1, 2, 3, 4])),
    ];
    Scenario { sent_max: 1, crashes: true, ..Scenario::new("directory", 4, menu) }
}

/// A set that is tried, confirmed, tried again and forgotten, with crashes and a clock that goes on and back.
fn trial() -> Scenario {
    let menu = vec![
        Item::new("user 4 sets its own boundary", 4, |_| boundary(None, 2)),
        Item::new("user 4 tries a boundary for two seconds", 4, |_| attempt(0)),
        Item::new("the owner narrows the operator's boundary", 1, |_| boundary(Some(2), 4)),
    ];
    Scenario { crashes: true, clock: vec![1_000, 2_500, 4_000], ..Scenario::new("trial", 6, menu) }
}

/// The operator may grant `power` but not exercise it, and may not have `volume` at all; it has a second key
/// for boundaries and keys only.
fn graded() -> Example {
    let mut example = Example::enrolled();
    let grantable = Rights::ALL.without(Right::Volume);
    let mut args = lease(2, Grant { exercise: grantable.without(Right::Power), grant: grantable }, 8);
    args.keys.push(controller(22, rights(&[Right::Boundary, Right::EnrolKey])));
    example.order(1, Verb::Lease(args)).unwrap();
    example.finish();
    for new in [3, 4] {
        example
            .order(2, Verb::Lease(lease(new, Grant { exercise: grantable, grant: grantable }, 2)))
            .unwrap();
        example.finish();
    }
    example
}

/// Terms that end, are cut short and prolonged, with a clock that goes on and back.
fn terms() -> Scenario {
    let menu = vec![
        Item::new("the owner cuts the operator's term to 3000", 1, |_| until(2, 3_000)),
        Item::new("the owner prolongs the operator's term to 9000", 1, |_| until(2, 9_000)),
        Item::new("the operator grants user 3 until 5000", 2, |_| until(3, 5_000)),
        Item::new("user 3 sets its own boundary", 3, |_| boundary(None, 2)),
        Item::new("the operator suspends user 4, until 2000", 2, |_| suspend(4)).fresh(Fresher::Until(2_000)),
        Item::new("the operator resumes user 4", 2, |_| resume(4)),
        Item::new("user 4 sets its own boundary", 4, |_| boundary(None, 2)),
        Item::new("the operator severs user 3", 2, |_| sever(3)),
    ];
    Scenario {
        begin: limited,
        sent_max: 1,
        clock: vec![1_000, 2_500, 4_000, 6_000],
        ..Scenario::new("terms", 5, menu)
    }
}

/// The operator's term ends at 6000.
fn limited() -> Example {
    let mut example = Example::four_tiers();
    let terms = Terms { not_before: Time::ZERO, until: Time::from_millis(6_000) };
    let change = NewTerms { tier: tier_id(2), contract: None, terms: Some(terms), rights: None, quota: None };
    example.order(1, Verb::Terms(change)).unwrap();
    example
}
