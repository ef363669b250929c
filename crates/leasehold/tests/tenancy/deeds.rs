//! `kill -9` of a console in the middle of a deed that has several steps: a lease that is granted, taken over and severed,
//! over and over. What was said to be done is so, the node has done each order once, and the deed gets done.

use std::time::Duration;

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
use crate::world::{LANDLORD, PATIENCE, TENANT, World, another_key, connected};

/// Which deed whose console does not live through, and how many microseconds after it was asked for it dies at most.
const DEEDS: [(Deed, usize, u64); 5] = [
    (Deed::Grant, LANDLORD, 60_000),
    (Deed::Take, TENANT, 20_000),
    (Deed::TakeOver, TENANT, 120_000),
    (Deed::Sever, LANDLORD, 60_000),
    (Deed::Sever, TENANT, 60_000),
];
const SEEDS: u64 = 10;

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

#[expect(clippy::print_stdout, reason = "what was hit when is part of the evidence")]
pub(crate) fn amid() {
    let mut world = World::new();
    world.enrol();
    for seed in 0..SEEDS {
        let death = Death::of(seed);
        let contract = format!("K-{seed}");
        let how = lives(&mut world, &contract, death);
        println!("seed {seed}: {death:?}: {how}");
    }
    let controllers =
        [LANDLORD, TENANT].map(|party| key(&world.console_folder(party).join("controller.key")));
    let journal = world.facility.nodes()[0].caller().journal(PATIENCE).unwrap();
    let mut all: Vec<_> =
        obeyed(&journal, &controllers).iter().map(|order| order.envelope.to_json()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "obeyed twice");
}

/// One lease from its grant to its receipt. Gives what the request that was hit was told.
fn lives(world: &mut World, contract: &str, death: Death) -> String {
    let mut told = "its keys were being made anew".to_owned();
    let wanted = world.wanted_lease(contract);
    let offer = if death.deed == Deed::Grant {
        let answer: Result<Granted, Failed> = dies_amid(world, death, LANDLORD, "/v1/leases", &wanted);
        told = said(&answer);
        granted(world, contract, answer.ok())
    } else {
        world.grant(contract)
    };
    match death.deed {
        Deed::Take => {
            let take = Take { offer: offer.clone(), node_keys: Vec::new() };
            let answer: Result<Taken, Failed> = dies_amid(world, death, TENANT, "/v1/leases/take", &take);
            told = said(&answer);
            let known: Value = world.get(TENANT, "/v1/leases");
            let knows = known.to_string().contains(&offer.leases[0].lease.to_string());
            assert!(knows || answer.is_err(), "what was taken is lost: {known}");
            if !knows {
                let taken: Taken = world.post(TENANT, "/v1/leases/take", &take);
                assert!(taken.leases[0].accepted, "{}", json!(taken));
            }
        }
        Deed::TakeOver => {
            let take = Take { offer: offer.clone(), node_keys: Vec::new() };
            let taken: Taken = world.post(TENANT, "/v1/leases/take", &take);
            assert!(taken.leases[0].accepted, "{}", json!(taken));
            dies(world, death);
        }
        Deed::Grant | Deed::Sever => world.take(offer.clone()),
    }
    is_the_tenants(world, &offer);
    let mut sever = Sever { what: contract.to_owned(), nodes: Vec::new(), if_match: None };
    let plan: LeasePlan = world.post(LANDLORD, "/v1/leases/sever/plan", &sever);
    sever.if_match = Some(plan.plan);
    if death.deed == Deed::Sever {
        let answer: Result<Severed, Failed> = dies_amid(world, death, LANDLORD, "/v1/leases/sever", &sever);
        told = said(&answer);
        is_severed(world, contract, answer.ok());
    } else {
        world.sever(contract);
    }
    assert_eq!(world.settled().tiers.len(), 1);
    world.until(TENANT, "/v1/nodes", |nodes: &Value| !connected(nodes));
    has_receipt(world, &offer);
    told
}

fn said<A: Serialize>(answer: &Result<A, Failed>) -> String {
    match answer {
        Ok(_) => "done".to_owned(),
        Err(failed) => failed.to_string(),
    }
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
    // Nothing is ready at that time: this is the clock alone.
    os::poll::wait(&[], Some(death.after)).unwrap();
    world.facility.consoles_mut()[death.party].kill().unwrap();
    world.starts_again(death.party);
    if death.party == LANDLORD {
        let _: Value = world.until(LANDLORD, "/v1/nodes", connected);
    }
}

/// The offer of a lease, whatever the console lived to say of it: it has it still, or it grants anew what the node has
/// not, or has without it.
fn granted(world: &mut World, contract: &str, said: Option<Granted>) -> Offer {
    let leases = world.settled().tiers.len() - 1;
    let path = format!("/v1/leases/{contract}/offer");
    let client = world.client(LANDLORD);
    let offered: Result<Offer, Failed> = world.runtime.block_on(client.get(&path));
    match (offered, said) {
        (Ok(offer), said) => {
            assert!(said.is_none_or(|said| said.offer.leases[0].lease == offer.leases[0].lease));
            assert_eq!(leases, 1);
            offer
        }
        (Err(failed), Some(said)) => panic!("{} was granted and is lost: {failed}", json!(said)),
        (Err(_), None) => {
            if leases == 1 {
                // The node obeyed, and the console did not live to write down to whom: its mirror knows the lease.
                world.until(LANDLORD, "/v1/leases", |all: &Value| all.to_string().contains(contract));
                world.sever(contract);
            }
            world.grant(contract)
        }
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
