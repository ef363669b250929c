//! `kill -9` of a console in the middle of a deed that has several steps: a lease that is granted, taken over and severed,
//! over and over. What was said to be done is so, the node has done each order once, and the deed gets done.

use std::time::{Duration, Instant};

use console_api::{
    DocumentKind, Documents, Failed, Granted, LeasePlan, NewOrder, Offer, Order, OrderState, Sever, Severed,
    Take, Taken,
};
use keys::{Envelope, PayloadType, SigningKey};
use lab::{Object, Party, Standing};
use node_protocol::call::Answer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tenure::{Rights, Verb};

use crate::console::key;
use crate::orders::obeyed;
use crate::world::{LANDLORD, LOOK, PATIENCE, TENANT, World, another_key, connected};

/// Which deed whose console does not live through, and how many microseconds after it was asked for it dies at most.
const DEEDS: [(Deed, usize, u64); 5] = [
    (Deed::Grant, LANDLORD, 60_000),
    (Deed::Take, TENANT, 20_000),
    (Deed::TakeOver, TENANT, 120_000),
    (Deed::Sever, LANDLORD, 60_000),
    (Deed::Sever, TENANT, 60_000),
];
const SEEDS: u64 = 10;
/// How many more lives a deed gets that no seed has hit under way, each with a death at another time.
const FURTHER_MAX: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Grant,
    /// Taking an offer.
    Take,
    /// The keys made anew, after the offer was taken.
    TakeOver,
    Sever,
}

/// Whose console is killed amid which deed, and when.
#[derive(Debug, Clone, Copy)]
struct Death {
    deed: Deed,
    party: usize,
    after: Duration,
}

impl Death {
    fn of(seed: u64) -> Self {
        let (deed, party, bound) = DEEDS[usize::try_from(seed).unwrap() % DEEDS.len()];
        // SplitMix64's last step.
        let mixed = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        Self { deed, party, after: Duration::from_micros((mixed >> 20) % bound) }
    }
}

/// What a deed was at when its console died.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hit {
    /// Nobody was there to be asked any more.
    Before,
    /// It was asked for, and neither answered nor done.
    Amid,
    Afterwards,
}

impl Hit {
    fn of<A>(answer: &Result<A, Failed>) -> Self {
        match answer {
            Ok(_) => Self::Afterwards,
            Err(Failed::Unreachable { .. }) => Self::Before,
            Err(Failed::Broken(_)) => Self::Amid,
            Err(refused @ (Failed::Problem(_) | Failed::Malformed(_) | Failed::TimedOut(_))) => {
                panic!("a console that was killed said: {refused}")
            }
        }
    }
}

/// What was hit, and what who asked for it was told.
type How = (Hit, String);

#[expect(clippy::print_stdout, reason = "what was hit when is part of the evidence")]
pub(crate) fn amid() {
    let mut world = World::new();
    world.enrol();
    let mut lived: Vec<(Death, Hit)> = Vec::new();
    let mut live = |lived: &mut Vec<(Death, Hit)>, death: Death| {
        let contract = format!("K-{}", lived.len());
        let (hit, told) = lives(&mut world, &contract, death);
        println!("life {contract}: {death:?}: {hit:?}: {told}");
        lived.push((death, hit));
        hit
    };
    for seed in 0..SEEDS {
        live(&mut lived, Death::of(seed));
    }
    // The seeds know nothing of the machine's pace. A severing is the landlord's deed, not the tenant's.
    for (deed, party, bound) in DEEDS {
        if (deed, party) != (Deed::Sever, TENANT) {
            is_hit(&mut lived, Death { deed, party, after: Duration::from_micros(bound) }, &mut live);
        }
    }
    let controllers = controllers(&world);
    let journal = world.facility.nodes()[0].caller().journal(PATIENCE).unwrap();
    let twice = obeyed_twice(&journal, &controllers);
    assert!(twice.is_empty(), "obeyed twice: {twice:?}");
    // It would be seen.
    let mut lines = journal.split_inclusive(|byte| *byte == b'\n');
    let last = lines.rfind(|line| !obeyed(line, &controllers).is_empty()).unwrap();
    assert_eq!(obeyed_twice(&[&journal, &b"\n"[..], last].concat(), &controllers).len(), 1);
}

/// Kills amid the deed until one has been hit under way: earlier than the earliest that came too late, and later
/// where that is too early.
fn is_hit(
    lived: &mut Vec<(Death, Hit)>,
    death: Death,
    live: &mut impl FnMut(&mut Vec<(Death, Hit)>, Death) -> Hit,
) {
    let alike = |other: &Death| (other.deed, other.party) == (death.deed, death.party);
    if lived.iter().any(|(other, hit)| alike(other) && *hit == Hit::Amid) {
        return;
    }
    let late = lived.iter().filter(|(other, hit)| alike(other) && *hit == Hit::Afterwards);
    let mut after = late.map(|(other, _)| other.after).min().unwrap_or(death.after) / 2;
    for _ in 0..FURTHER_MAX {
        match live(lived, Death { after, ..death }) {
            Hit::Amid => return,
            Hit::Afterwards => after /= 2,
            Hit::Before => after = after * 3 / 2 + Duration::from_micros(100),
        }
    }
    panic!("no kill has hit {:?} under way: {lived:?}", death.deed);
}

fn controllers(world: &World) -> [SigningKey; 2] {
    [LANDLORD, TENANT].map(|party| key(&world.console_folder(party).join("controller.key")))
}

/// The orders that are more than once in a journal's export.
fn obeyed_twice(journal: &[u8], controllers: &[SigningKey]) -> Vec<String> {
    let mut all: Vec<_> = obeyed(journal, controllers).iter().map(|order| order.envelope.to_json()).collect();
    all.sort_unstable();
    all.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0].clone()).collect()
}

/// How often the node has obeyed that keys are made anew.
fn renewals(world: &World) -> usize {
    let journal = world.facility.nodes()[0].caller().journal(PATIENCE).unwrap();
    obeyed(&journal, &controllers(world)).iter().filter(|order| order.verb == "renew").count()
}

/// One lease from its grant to its receipt.
fn lives(world: &mut World, contract: &str, death: Death) -> How {
    let mut how = (Hit::Afterwards, String::new());
    let wanted = world.wanted_lease(contract);
    let offer = if death.deed == Deed::Grant {
        let answer: Result<Granted, Failed> = dies_amid(world, death, LANDLORD, "/v1/leases", &wanted);
        how = said(&answer);
        granted(world, contract, answer.ok())
    } else {
        world.grant(contract)
    };
    match death.deed {
        Deed::Take => {
            let take = Take { offer: offer.clone(), node_keys: Vec::new() };
            let answer: Result<Taken, Failed> = dies_amid(world, death, TENANT, "/v1/leases/take", &take);
            how = said(&answer);
            let known: Value = world.get(TENANT, "/v1/leases");
            let knows = known.to_string().contains(&offer.leases[0].lease.to_string());
            assert!(knows || answer.is_err(), "what was taken is lost: {known}");
            if !knows {
                let taken: Taken = world.post(TENANT, "/v1/leases/take", &take);
                assert!(taken.leases[0].accepted, "{}", json!(taken));
            }
        }
        Deed::TakeOver => {
            let before = renewals(world);
            let take = Take { offer: offer.clone(), node_keys: Vec::new() };
            let taken: Taken = world.post(TENANT, "/v1/leases/take", &take);
            assert!(taken.leases[0].accepted, "{}", json!(taken));
            kill(world, death);
            // The console is dead: what it has not ordered by now it had not ordered when it died.
            how = if renewals(world) == before {
                (Hit::Amid, "its keys were not made anew yet".to_owned())
            } else {
                (Hit::Afterwards, "its keys were made anew".to_owned())
            };
            goes_on(world, death);
        }
        Deed::Grant | Deed::Sever => world.take(offer.clone()),
    }
    is_the_tenants(world, &offer);
    let mut sever = Sever { what: contract.to_owned(), nodes: Vec::new(), if_match: None };
    let plan: LeasePlan = world.post(LANDLORD, "/v1/leases/sever/plan", &sever);
    sever.if_match = Some(plan.plan);
    if death.deed == Deed::Sever {
        let answer: Result<Severed, Failed> = dies_amid(world, death, LANDLORD, "/v1/leases/sever", &sever);
        how = said(&answer);
        is_severed(world, contract, answer.ok());
    } else {
        world.sever(contract);
    }
    assert_eq!(world.settled().tiers.len(), 1);
    world.until(TENANT, "/v1/nodes", |nodes: &Value| !connected(nodes));
    has_receipt(world, &offer);
    how
}

fn said<A>(answer: &Result<A, Failed>) -> How {
    let told = match answer {
        Ok(_) => "done".to_owned(),
        Err(failed) => failed.to_string(),
    };
    (Hit::of(answer), told)
}

/// Asks for something, and kills a console meanwhile, which is started again.
fn dies_amid<A: DeserializeOwned + Send + 'static>(
    world: &mut World,
    death: Death,
    asked: usize,
    path: &'static str,
    body: &(impl Serialize + Clone + Send + Sync + 'static),
) -> Result<A, Failed> {
    let (client, runtime, body) = (world.client(asked), world.runtime.handle().clone(), body.clone());
    let asking = std::thread::spawn(move || runtime.block_on(client.post::<A>(path, &body)));
    dies(world, death);
    asking.join().unwrap()
}

fn dies(world: &mut World, death: Death) {
    kill(world, death);
    goes_on(world, death);
}

fn kill(world: &mut World, death: Death) {
    // Nothing is ready at that time: this is the clock alone.
    os::poll::wait(&[], Some(death.after)).unwrap();
    world.facility.consoles_mut()[death.party].kill().unwrap();
}

/// The console runs again. What it had sent before it died the node has obeyed by then, or never will: a courier hands
/// one order on after the other, and a later number of the same key is obeyed.
fn goes_on(world: &mut World, death: Death) {
    world.starts_again(death.party);
    if death.party == LANDLORD {
        let _: Value = world.until(LANDLORD, "/v1/nodes", connected);
        let done: Order = world.post(LANDLORD, "/v1/orders", &another_key());
        assert_eq!(done.state, OrderState::Accepted, "{}", json!(done));
    }
}

/// The offer of a lease that the node has, whatever the console lived to say of it; what the node has not is
/// granted anew.
fn granted(world: &mut World, contract: &str, said: Option<Granted>) -> Offer {
    let leases = world.settled().tiers.len() - 1;
    if leases == 0 {
        assert!(said.is_none(), "{} was granted and is lost", json!(said));
        let offered = offered(world, contract);
        assert!(offered.is_none(), "{} is offered, and the node has none", json!(offered));
        return world.grant(contract);
    }
    let deadline = Instant::now() + PATIENCE;
    let offer = loop {
        // The console may be reading the node's journal still.
        if let Some(offer) = offered(world, contract) {
            break offer;
        }
        assert!(
            Instant::now() < deadline,
            "{contract}: the node has the lease, and the console never offers it"
        );
        os::poll::wait(&[], Some(LOOK)).unwrap();
    };
    assert_eq!((leases, offer.leases.len()), (1, 1));
    assert!(said.is_none_or(|said| said.offer.leases[0].lease == offer.leases[0].lease));
    offer
}

/// What the console offers under a contract.
fn offered(world: &World, contract: &str) -> Option<Offer> {
    let path = format!("/v1/contracts/{contract}/offer");
    let client = world.client(LANDLORD);
    match world.runtime.block_on(client.get(&path)) {
        Ok(offer) => Some(offer),
        Err(Failed::Problem(problem)) if problem.code == "not-found" => None,
        Err(failed) => panic!("{path}: {failed}"),
    }
}

/// Its keys are its own: it orders, and the landlord does not in its place.
fn is_the_tenants(world: &mut World, offer: &Offer) {
    let lease = offer.leases[0].lease.to_string();
    let held = |nodes: &Value| {
        let mut tiers = nodes["items"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|node| node["tiers"].as_array().into_iter().flatten());
        tiers.any(|tier| {
            tier["lease"] == lease.as_str() && tier["state"] == "held" && tier["connected"] == true
        })
    };
    let _: Value = world.until(TENANT, "/v1/nodes", held);
    // A console may not have heard yet that the tier before this one ended.
    let order = NewOrder { tier: Some(offer.leases[0].tier), ..another_key() };
    let done: Order = world.post(TENANT, "/v1/orders", &order);
    assert_eq!(done.state, OrderState::Accepted, "{}", json!(done));
    let status = world.settled();
    let tier = status.tiers.iter().find(|tier| tier.lease == offer.leases[0].lease).unwrap();
    let standing =
        Standing { node: status.node.unwrap(), lease: tier.lease, tier: tier.tier, epoch: tier.epoch };
    let landlord: SigningKey = key(&world.console_folder(LANDLORD).join("controller.key"));
    let verb = Verb::EnrolKey(Party::new().unwrap().controller(Rights::ALL));
    let order = tenure::Order {
        node: standing.node,
        lease: standing.lease,
        tier: standing.tier,
        epoch: standing.epoch,
        seq: id::Sequence::new(1 << 50).unwrap(),
        freshness: tenure::Freshness::NotAfter(id::Time::MAX),
        term: None,
        verb,
    };
    let order = Envelope::sign(PayloadType::Order, order.to_json().into_bytes(), &landlord);
    let no_objects: [&Object; 0] = [];
    let answer = world.facility.nodes()[0].submit(&order, &no_objects).unwrap();
    assert!(matches!(answer.parse(), Ok(Answer::Refused(_))), "{answer:?}");
}

/// What was said to be severed is; what was not is severed by asking again.
fn is_severed(world: &mut World, contract: &str, said: Option<Severed>) {
    let went = said.is_some_and(|said| said.leases.iter().all(|lease| lease.problem.is_none()));
    let there = world.settled().tiers.len() > 1;
    assert!(!(went && there), "an accepted severing was forgotten");
    if there {
        world.sever(contract);
    }
}

/// The node's receipt, which the console has and anybody can check.
fn has_receipt(world: &mut World, offer: &Offer) {
    let path = format!("/v1/documents/{}", offer.leases[0].lease);
    let last = |documents: &Documents| {
        documents.documents.last().is_some_and(|document| document.kind == DocumentKind::Receipt)
    };
    let documents: Documents = world.until(LANDLORD, &path, last);
    let landlord = &world.facility.consoles()[LANDLORD];
    let file = landlord.write("receipt.json", &documents.documents.last().unwrap().envelope).unwrap();
    let said = landlord.run(&["receipt", "verify", file.to_str().unwrap()]).unwrap();
    assert_eq!(said.exit, 0, "{}", said.talk);
}
