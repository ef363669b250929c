use expect_test::{Expect, expect};
use tenure::{Data, PowerState, Purpose};

use super::*;

const TIER: TierId = TierId::from_bytes([1; 16]);
const ID: ProcedureId = ProcedureId(Digest::from_bytes([9; 32]));

fn name() -> Name {
    "web".parse().unwrap()
}

fn epoch(number: u64) -> Epoch {
    Epoch::new(number).unwrap()
}

fn realm(gate: Gate) -> Realm {
    Realm {
        tier: TIER,
        name: name(),
        epoch: epoch(1),
        identity: None,
        data: Data::default(),
        sets: vec![Digest::of(b"set")],
        gate,
        deadline: Time::from_millis(5_000),
        courier: false,
        consoles: Vec::new(),
        wanted: Vec::new(),
        volumes: Vec::new(),
        path: Vec::new(),
        engines: true,
        power: PowerState::On,
        restarts: 0,
    }
}

fn world(realm: Option<Realm>, due: Vec<Procedure>) -> World {
    World {
        realms: realm.into_iter().collect(),
        due,
        wake_at: None,
        directory: None,
        denied: Vec::new(),
        node_power: None,
    }
}

fn procedure(next: Step, fate: Fate, at: u64) -> Procedure {
    let parts = vec![Part { tier: TIER, epoch: epoch(at), fate }];
    Procedure { id: ID, purpose: Purpose::Severing, by: TIER, tier: TIER, parts, next, nonce: None }
}

fn seen(whole: bool, gate: Option<Seal>, policy: Option<Digest>) -> Observed {
    let seen = Seen { whole, gate, policy };
    Observed { realms: BTreeMap::from([(name(), seen)]), ..Observed::default() }
}

fn in_force() -> Option<Digest> {
    Some(policy_of(&world(None, Vec::new()), &realm(Gate::Open)))
}

#[expect(clippy::needless_pass_by_value, reason = "as expect_test wants it")]
fn check(world: World, observed: Observed, expected: Expect) {
    let configured = BTreeSet::from([name()]);
    let effects = reconcile(&world, &observed, &configured, |_procedure| 1);
    let told: Vec<String> = effects.iter().map(|effect| short(&format!("{effect:?}"))).collect();
    expected.assert_eq(&told.join("\n"));
}

/// Without the digests and ids that are the same everywhere.
fn short(text: &str) -> String {
    let policy = policy_of(&world(None, Vec::new()), &realm(Gate::Open)).to_string();
    text.replace(&policy, "policy").replace(&ID.to_string(), "id").replace(&TIER.to_string(), "tier")
}

fn couriers(epoch_of: u64, consoles: Vec<Console>) -> BTreeMap<TierId, Courier> {
    BTreeMap::from([(TIER, Courier { epoch: epoch(epoch_of), consoles })])
}

/// A realm whose tier has a courier, its filter in force.
fn called() -> (Realm, Observed) {
    let identity = Digest::of(b"identity");
    let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
    let consoles = vec![Console { key, addresses: vec!["10.0.0.2:7443".parse().unwrap()] }];
    let realm = Realm { courier: true, consoles, identity: Some(identity), ..realm(Gate::Cut) };
    let observed = Observed {
        courier_program: true,
        identities: BTreeMap::from([((TIER, epoch(1)), identity)]),
        ..seen(true, Some(Seal::Cut), in_force())
    };
    (realm, observed)
}

#[test]
fn a_courier_is_started_with_the_identity_on_record_and_told_of_its_consoles() {
    let (realm, observed) = called();
    let wanted = || world(Some(realm.clone()), Vec::new());
    check(wanted(), observed.clone(), expect!["StartCourier(TierId(tier), Epoch(1))"]);
    let unknown = Observed { identities: BTreeMap::new(), ..observed.clone() };
    check(wanted(), unknown, expect!["MakeIdentity(TierId(tier), Epoch(1))"]);
    let another = BTreeMap::from([((TIER, epoch(1)), Digest::of(b"another"))]);
    check(wanted(), Observed { identities: another, ..observed.clone() }, expect![[""]]);
    check(wanted(), Observed { courier_program: false, ..observed.clone() }, expect![[""]]);
    let runs = |consoles| Observed { couriers: couriers(1, consoles), ..observed.clone() };
    check(wanted(), runs(realm.consoles.clone()), expect![[""]]);
    check(wanted(), runs(Vec::new()), expect!["TellConsoles(TierId(tier))"]);
}

#[test]
fn a_courier_that_should_not_be_there_is_killed_whatever_is_under_way() {
    let (realm, observed) = called();
    let runs = |at| Observed { couriers: couriers(at, realm.consoles.clone()), ..observed.clone() };
    let without = Realm { courier: false, consoles: Vec::new(), ..realm.clone() };
    check(world(Some(without.clone()), Vec::new()), runs(1), expect!["EndCourier(TierId(tier))"]);
    let next = Realm { epoch: epoch(2), ..realm.clone() };
    check(world(Some(next), Vec::new()), runs(1), expect!["EndCourier(TierId(tier))"]);
    // Before its step in a severing, at its step, and when it is gone.
    let due = |next| world(Some(without.clone()), vec![procedure(next, Fate::Ended, 2)]);
    check(
        due(Step::Cut),
        runs(1),
        expect![[r#"
            EndCourier(TierId(tier))
            Tell(ProcedureId(Digest(id)), Cut, [])"#]],
    );
    check(due(Step::CourierGone), runs(1), expect!["EndCourier(TierId(tier))"]);
    check(
        due(Step::CourierGone),
        observed.clone(),
        expect!["Tell(ProcedureId(Digest(id)), CourierGone, [])"],
    );
}

#[test]
fn a_realm_is_made_then_gets_its_policy_then_is_opened() {
    let wanted = || world(Some(realm(Gate::Open)), Vec::new());
    check(wanted(), Observed::default(), expect![[r#"RealmUp(Name("web"))"#]]);
    check(wanted(), seen(true, Some(Seal::Cut), None), expect![[r#"Policy(Name("web"), Digest(policy))"#]]);
    check(
        wanted(),
        seen(true, Some(Seal::Cut), in_force()),
        expect![[r#"Open(Name("web"), Time(1970-01-01T00:00:05Z))"#]],
    );
    check(wanted(), seen(true, Some(Seal::OpenUntil(Time::from_millis(5_000))), in_force()), expect![[""]]);
}

#[test]
fn after_a_restart_nothing_is_opened_before_the_policy_was_compared() {
    let wanted = || world(Some(realm(Gate::Open)), Vec::new());
    let policy = || expect![[r#"Policy(Name("web"), Digest(policy))"#]];
    check(wanted(), seen(true, None, None), policy());
    check(wanted(), seen(true, None, Some(Digest::of(b"old"))), policy());
    check(wanted(), seen(true, Some(Seal::Cut), Some(Digest::of(b"old"))), policy());
    check(
        wanted(),
        seen(true, None, in_force()),
        expect![[r#"Open(Name("web"), Time(1970-01-01T00:00:05Z))"#]],
    );
}

#[test]
fn a_realm_that_is_not_whole_is_made_anew() {
    let open = Some(Seal::OpenUntil(Time::from_millis(5_000)));
    check(
        world(Some(realm(Gate::Open)), Vec::new()),
        seen(false, open, None),
        expect![[r#"RealmUp(Name("web"))"#]],
    );
}

#[test]
fn a_new_policy_does_not_close_an_earlier_deadline_does_not_wait_for_it_a_later_one_does() {
    let old = Some(Digest::of(b"old"));
    let until = |millis| Some(Seal::OpenUntil(Time::from_millis(millis)));
    let wanted = || world(Some(realm(Gate::Open)), Vec::new());
    check(wanted(), seen(true, until(5_000), old), expect![[r#"Policy(Name("web"), Digest(policy))"#]]);
    check(
        wanted(),
        seen(true, until(9_000), old),
        expect![[r#"
        Open(Name("web"), Time(1970-01-01T00:00:05Z))
        Policy(Name("web"), Digest(policy))"#]],
    );
    check(wanted(), seen(true, until(3_000), old), expect![[r#"Policy(Name("web"), Digest(policy))"#]]);
    check(
        wanted(),
        seen(true, until(3_000), in_force()),
        expect![[r#"Open(Name("web"), Time(1970-01-01T00:00:05Z))"#]],
    );
}

#[test]
fn what_a_record_will_take_back_is_to_close_by_itself() {
    let braced = |realm: Option<Realm>, observed: Observed| {
        let times = braced(&world(realm, Vec::new()), &observed, Time::from_millis(3_000));
        times.into_iter().map(|(_name, until)| until.as_millis()).collect::<Vec<_>>()
    };
    let until = |millis| Some(Seal::OpenUntil(Time::from_millis(millis)));
    let old = Some(Digest::of(b"old"));
    assert_eq!(braced(Some(realm(Gate::Open)), seen(true, until(5_000), in_force())), [0; 0], "it stays");
    assert_eq!(braced(Some(realm(Gate::Open)), seen(true, until(5_000), old)), [3_000], "another policy");
    assert_eq!(braced(Some(realm(Gate::Open)), seen(true, until(2_000), old)), [2_000], "never later");
    assert_eq!(braced(Some(realm(Gate::Open)), seen(true, None, old)), [3_000], "an unknown gate");
    assert_eq!(braced(Some(realm(Gate::Cut)), seen(true, until(5_000), in_force())), [3_000], "a cut");
    assert_eq!(braced(None, seen(true, until(5_000), in_force())), [3_000], "the end");
    assert_eq!(braced(None, seen(true, Some(Seal::Cut), in_force())), [0; 0], "closed already");
}

#[test]
fn a_realm_of_unknown_gate_is_cut_when_it_should_be() {
    check(
        world(Some(realm(Gate::Cut)), Vec::new()),
        seen(true, None, in_force()),
        expect![[r#"Cut(Name("web"))"#]],
    );
    check(world(Some(realm(Gate::Cut)), Vec::new()), seen(true, Some(Seal::Cut), in_force()), expect![[""]]);
}

#[test]
fn what_nobody_has_is_cut_and_removed() {
    let open = Some(Seal::OpenUntil(Time::from_millis(5_000)));
    check(
        world(None, Vec::new()),
        seen(true, open, in_force()),
        expect![[r#"
        Cut(Name("web"))
        RealmDown(Name("web"))"#]],
    );
}

#[test]
fn a_severing_goes_step_by_step_and_no_step_is_told_before_it_is_done() {
    let severing = |next| world(Some(realm(Gate::Cut)), vec![procedure(next, Fate::Ended, 2)]);
    let open = || seen(true, Some(Seal::OpenUntil(Time::from_millis(5_000))), in_force());
    let cut = || seen(true, Some(Seal::Cut), in_force());
    let secrets = |observed| Observed { secrets: BTreeSet::from([(TIER, epoch(1))]), ..observed };
    check(severing(Step::Cut), open(), expect![[r#"Cut(Name("web"))"#]]);
    check(severing(Step::Cut), cut(), expect!["Tell(ProcedureId(Digest(id)), Cut, [])"]);
    check(severing(Step::SecretGone), secrets(cut()), expect!["UnlinkSecrets(TierId(tier), None, Secrets)"]);
    check(severing(Step::SecretGone), cut(), expect!["Tell(ProcedureId(Digest(id)), SecretGone, [])"]);
    check(severing(Step::EnginesKilled), cut(), expect![[r#"Kill(ProcedureId(Digest(id)), [Name("web")])"#]]);
    check(
        severing(Step::EnginesKilled),
        Observed { killed: BTreeSet::from([ID]), ..cut() },
        expect!["Tell(ProcedureId(Digest(id)), EnginesKilled, [])"],
    );
    check(severing(Step::Closed), cut(), expect![[r#"RealmDown(Name("web"))"#]]);
    check(severing(Step::Closed), Observed::default(), expect!["Tell(ProcedureId(Digest(id)), Closed, [])"]);
    check(severing(Step::Receipt), Observed::default(), expect!["Sign(ProcedureId(Digest(id)), 0)"]);
    let signed = Observed { signed: BTreeMap::from([(ID, 1)]), ..Observed::default() };
    check(severing(Step::Receipt), signed, expect!["Tell(ProcedureId(Digest(id)), Receipt, [])"]);
}

#[test]
fn an_erasure_spares_the_secret_of_the_new_epoch_and_keeping_unlinks_after_remaking() {
    let secrets = BTreeSet::from([(TIER, epoch(1)), (TIER, epoch(2))]);
    let cut = Observed { secrets: secrets.clone(), ..seen(true, Some(Seal::Cut), in_force()) };
    let erasing = |next| world(Some(realm(Gate::Cut)), vec![procedure(next, Fate::Erased, 2)]);
    check(erasing(Step::SecretGone), cut, expect!["UnlinkSecrets(TierId(tier), Some(Epoch(1)), Secrets)"]);
    let keeping = || world(None, vec![procedure(Step::Remade, Fate::Kept, 2)]);
    let old = Observed { secrets, ..Observed::default() };
    check(keeping(), old.clone(), expect!["MakeIdentity(TierId(tier), Epoch(2))"]);
    let made = BTreeMap::from([((TIER, epoch(2)), Digest::from_bytes([9; 32]))]);
    let both = Observed { identities: made.clone(), ..old };
    check(keeping(), both, expect!["UnlinkSecrets(TierId(tier), Some(Epoch(1)), Secrets)"]);
    let one =
        Observed { identities: made, secrets: BTreeSet::from([(TIER, epoch(2))]), ..Observed::default() };
    check(
        keeping(),
        one,
        expect!["Tell(ProcedureId(Digest(id)), Remade, [(TierId(tier), Epoch(2), Digest(id))])"],
    );
}

#[test]
fn a_directory_and_the_roots_consoles_make_another_policy() {
    let with = |directory: Option<Digest>, consoles: &[&str]| {
        let key = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
        let addresses = consoles.iter().map(|address| address.parse().unwrap()).collect();
        let denied = vec![Console { key, addresses }];
        policy_of(&World { directory, denied, ..world(None, Vec::new()) }, &realm(Gate::Open))
    };
    let directory = Some(Digest::of(b"directory"));
    let policies = [with(None, &[]), with(directory, &[]), with(None, &["10.0.0.2:7443"])];
    assert!(policies[0] != policies[1] && policies[1] != policies[2] && policies[0] != policies[2]);
}
