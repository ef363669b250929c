//! Couriers: orders through real connections, and what severings and renewals do to them.

use std::fs;
use std::net::SocketAddr;
use std::time::Instant;

use channel::{CallFailed, Link};
use id::{NodeId, Nonce, TierId};
use keys::{Envelope, NodeRecord, PayloadType, Statement};
use lab::{Facility, Object, Standing};
use node_protocol::call::{Answer, Call, OWN_TIER, code};
use tenure::{Boundary, Renew, Target, Verb};

use crate::between::Between;
use crate::console::{Console, Unopened, envelopes};
use crate::rights::{compare, status};
use crate::world::{REALMS, TENANT, WEB, World};

/// A landlord and a tenant, each with a console to which the node has dialled.
pub(crate) struct Tenancy {
    pub(crate) world: World,
    pub(crate) landlord: Console,
    pub(crate) landlords: Link,
    pub(crate) tenant: Console,
    pub(crate) tenants: Link,
    pub(crate) tier: TierId,
    /// Every order that was accepted.
    pub(crate) orders: Vec<Envelope>,
    /// Where they listen themselves.
    pub(crate) consoles: [SocketAddr; 2],
    /// Who stands between the node and the consoles: the landlord's, the tenant's.
    pub(crate) between: Option<[Between; 2]>,
}

impl Tenancy {
    pub(crate) fn begin() -> Self {
        let consoles = [Unopened::new(7443), Unopened::new(7444)];
        let named = consoles.each_ref().map(Unopened::named);
        Self::begin_with(consoles, named, |_facility| None)
    }

    /// The same where somebody stands between, whom the node takes for the consoles by their addresses.
    pub(crate) fn begin_between() -> Self {
        let consoles = [Unopened::new(7443), Unopened::new(7444)];
        let told = [7445, 7446].map(|port| Unopened::new(port).address());
        let there = consoles.each_ref().map(Unopened::address);
        let named = [0, 1].map(|party| consoles[party].named_at(told[party]));
        Self::begin_with(consoles, named, |facility| {
            Some([0, 1].map(|party| Between::listen(facility, told[party], there[party])))
        })
    }

    fn begin_with(
        [landlords, tenants]: [Unopened; 2],
        [landlords_named, tenants_named]: [tenure::Console; 2],
        between: impl FnOnce(&Facility) -> Option<[Between; 2]>,
    ) -> Self {
        let consoles = [&landlords, &tenants].map(Unopened::address);
        let mut world = World::with_consoles(&[landlords_named]);
        world.tenants_consoles = vec![tenants_named];
        let mut landlord = landlords.open(&world.facility);
        let mut tenant = tenants.open(&world.facility);
        let between = between(&world.facility);
        world.start(0, &[]);
        landlord.enrol();
        let landlords = landlord.link();
        let (tier, order) = lease(&world, &landlord, &landlords);
        tenant.enrol();
        let tenants = tenant.link();
        Self { world, landlord, landlords, tenant, tenants, tier, orders: vec![order], consoles, between }
    }

    /// The tenant orders something through its link.
    pub(crate) fn tenant_orders(&mut self, verb: Verb) {
        let status = self.tenant.status_with(&self.tenants, |status| status.settled);
        let order = self.world.tenant.order(&Standing::of(&status, TENANT).unwrap(), verb);
        accepted(&self.tenant.order(&self.tenants, &order));
        self.orders.push(order);
    }

    /// The landlord severs the tenant through its own link.
    pub(crate) fn sever(&mut self) {
        let status = self.landlord.status_with(&self.landlords, |status| status.settled);
        let standing = Standing::of(&status, "landlord").unwrap();
        let order = self.world.landlord.order(&standing, Verb::Sever(Target { tier: self.tier }));
        accepted(&self.landlord.order(&self.landlords, &order));
        self.orders.push(order);
    }
}

/// The landlord leases the realm through its console.
pub(crate) fn lease(world: &World, landlord: &Console, link: &Link) -> (TierId, Envelope) {
    let status = landlord.status_with(link, |status| status.settled);
    let object = Object::new(REALMS).unwrap();
    landlord.put(link, &object);
    let verb = Verb::Lease(world.lease_of(&object));
    let order = world.landlord.order(&Standing::of(&status, "landlord").unwrap(), verb);
    let answer = landlord.order(link, &order);
    let Answer::Accepted { tier: Some(tier), .. } = answer else { panic!("{answer:?}") };
    (tier, order)
}

pub(crate) fn accepted(answer: &Answer) {
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

pub(crate) fn refused(answer: Answer) -> String {
    let Answer::Refused(refused) = answer else { panic!("{answer:?}") };
    refused.code
}

/// A landlord and a tenant give orders through connections that the node has dialled; the tenant's ends with
/// its severing.
#[expect(clippy::print_stdout, reason = "the time is part of the evidence")]
pub(crate) fn takes_orders() {
    let mut tenancy = Tenancy::begin();
    let object = Object::new(WEB).unwrap();
    tenancy.tenant.put(&tenancy.tenants, &object);
    tenancy.tenant_orders(Verb::Boundary(Boundary { tier: None, object: object.name() }));

    let first = tenancy.world.facility.nodes()[0].first_process();
    let couriers = couriers_of(first);
    assert_eq!(couriers.len(), 2);
    compare(couriers[0], "courier");
    assert_ne!(status(couriers[0])["Uid"], status(couriers[1])["Uid"]);

    let began = Instant::now();
    tenancy.sever();
    let answered = began.elapsed();
    tenancy.tenant.closed(&tenancy.tenants);
    println!(
        "the severing was answered after {answered:?}, the tenant's connection ended {:?}",
        began.elapsed()
    );
    tenancy.landlord.status_with(&tenancy.landlords, |status| status.settled && status.tiers.len() == 1);
    assert_eq!(couriers_of(first).len(), 1);
}

/// Couriers die with their supervisor, and the next one's dial the same consoles as the same identities: nobody
/// has to be let in anew.
pub(crate) fn come_back() {
    let mut tenancy = Tenancy::begin();
    let before = [tenancy.landlords.identity(), tenancy.tenants.identity()];
    tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    tenancy.landlord.closed(&tenancy.landlords);
    tenancy.tenant.closed(&tenancy.tenants);
    tenancy.world.start(0, &[]);
    tenancy.landlords = tenancy.landlord.link();
    tenancy.tenants = tenancy.tenant.link();
    assert_eq!([tenancy.landlords.identity(), tenancy.tenants.identity()], before);
    tenancy.sever();
    tenancy.tenant.closed(&tenancy.tenants);
}

/// Calls of a tier's consoles are confined to the tier.
pub(crate) fn calls_are_confined() {
    let tenancy = Tenancy::begin();
    let Tenancy { landlord, landlords, tenant, tenants, tier, .. } = &tenancy;
    let whole = landlord.status_with(landlords, |status| status.settled);
    let seen = tenant.status_with(tenants, |status| status.settled);
    assert_eq!(whole.tiers.len(), 2);
    assert_eq!(seen.tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>(), [TENANT]);
    let root = whole.tiers[0].tier;

    let ask = |call: Call| tenant.call(tenants, &call, &[]);
    let about = |about: &str| ask(Call::Receipts { about: about.to_owned() });
    for others in [root.to_string(), whole.tiers[0].lease.to_string(), "landlord".to_owned()] {
        assert_eq!(refused(about(&others).0), code::NOT_FOUND);
    }
    assert!(matches!(about(OWN_TIER).0, Answer::Signed { number: 1 }));
    assert!(matches!(ask(Call::FreshNonce { tier: *tier }).0, Answer::Nonce { .. }));
    assert_eq!(refused(ask(Call::FreshNonce { tier: root }).0), code::NOT_FOUND);
    assert_eq!(refused(ask(Call::Status { settled: true }).0), code::NOT_YET);
    // The chain of the journal is every tier's to verify.
    let (answer, lines) = ask(Call::ReadJournal { from: 1 });
    assert!(matches!(answer, Answer::Lines { .. }), "{answer:?}");
    journal::verify(&lines, None).unwrap();
    // Authority is in the order: an order of the landlord's is obeyed though the tenant's console carries it,
    // and one that nobody signed is not.
    let forged = lab::Party::new().unwrap();
    let standing = Standing::of(&whole, "landlord").unwrap();
    let severing = Verb::Sever(Target { tier: *tier });
    assert_eq!(
        refused(tenant.order(tenants, &forged.order(&standing, severing.clone()))),
        code::NOT_AUTHENTICATED
    );
    // The answer may not arrive: a severing does not wait until the one whom it cuts off has heard of it.
    let order = tenancy.world.landlord.order(&standing, severing).to_json();
    match tenant.try_call(tenants, &Call::SubmitOrder {}, order.as_bytes()) {
        Ok((answer, _)) => accepted(&answer),
        Err(CallFailed::Ended(_)) => {}
        Err(failed) => panic!("{failed}"),
    }
    landlord.status_with(landlords, |status| status.settled && status.tiers.len() == 1);
}

/// Fig. 6: the tenant renews its keys through the connection that this ends. It hears that it was done; the node
/// comes back as somebody whom nobody knows, and says to the tenant alone who that is.
pub(crate) fn renewal() {
    let mut tenancy = Tenancy::begin();
    let before = tenancy.tenants.identity();
    let nonce = Nonce::from_bytes(os::random::bytes().unwrap());
    tenancy.tenant_orders(Verb::Renew(Renew { tier: None, keep: Vec::new(), nonce: Some(nonce) }));
    tenancy.tenant.closed(&tenancy.tenants);
    let (identity, signed) = tenancy.tenant.enrol();
    assert_ne!(identity, before);
    let node = tenancy.landlord.status_with(&tenancy.landlords, |status| status.settled).node.unwrap();
    let stated = statements(&signed, node);
    let newest = stated.last().unwrap();
    assert_eq!((newest.identity, newest.nonce, newest.tier), (Some(identity), Some(nonce), tenancy.tier));
    assert_eq!(newest.controllers, [*tenancy.world.tenant.key().public()]);
    // The landlord has the first statement, which it handed on, and nothing that names the new identity.
    let about = |about| tenancy.landlord.call(&tenancy.landlords, &Call::Receipts { about }, &[]).1;
    let known = envelopes(&about(tenancy.tier.to_string()));
    let known = statements(&known, node);
    assert_eq!(known.iter().map(|statement| statement.identity).collect::<Vec<_>>(), [Some(before)]);
    let journal = tenancy.landlord.call(&tenancy.landlords, &Call::ReadJournal { from: 1 }, &[]).1;
    let journal = String::from_utf8(journal).unwrap();
    assert!(!journal.contains(&identity.to_string()) && !journal.contains(&before.to_string()));
    // And the tenant goes on as before.
    tenancy.tenants = tenancy.tenant.link();
    let object = Object::new(WEB).unwrap();
    tenancy.tenant.put(&tenancy.tenants, &object);
    tenancy.tenant_orders(Verb::Boundary(Boundary { tier: None, object: object.name() }));
}

/// The statements among what a node has signed.
fn statements(signed: &[Envelope], node: NodeId) -> Vec<Statement> {
    let stated = signed.iter().filter(|envelope| envelope.payload_type() == PayloadType::Statement);
    let stated = stated.map(|envelope| Statement::verify(envelope.to_json().as_bytes(), None).unwrap());
    stated.inspect(|statement| assert_eq!(statement.node, node)).collect()
}

/// The couriers of the node whose first process that is, as the machine counts: the first one's first.
pub(crate) fn couriers_of(first: u32) -> Vec<u32> {
    let namespace = |id: u32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let node = namespace(first).unwrap();
    let ids = fs::read_dir("/proc").unwrap();
    let ids = ids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_courier = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.starts_with(b"bmonitor-courier\0") && namespace(*id).as_ref() == Some(&node)
    };
    let mut couriers: Vec<u32> = ids.filter(is_courier).collect();
    couriers.sort_by_key(|id| status(*id)["Uid"].clone());
    couriers
}
