//! Couriers: orders through real connections, and what a severing does to them.

use std::fs;

use lab::{Object, Standing};
use node_protocol::call::Answer;
use tenure::{Lease, Target, Verb};

use crate::console::Unopened;
use crate::rights::{compare, status};
use crate::world::{REALMS, TENANT, World};

/// A landlord and a tenant with a console each give orders through connections that the node has dialled.
#[expect(clippy::print_stdout, reason = "the time is part of the evidence")]
pub(crate) fn takes_orders() {
    let (landlords, tenants) = (Unopened::new(7443), Unopened::new(7444));
    let named = tenants.named();
    let mut world = World::with_consoles(&[landlords.named()]);
    let mut landlord = landlords.open(&world.facility);
    let mut tenant = tenants.open(&world.facility);
    world.start(0, &[]);
    let (identity, _statements) = landlord.enrol();
    let link = landlord.link();
    assert_eq!(link.identity(), identity);
    let status = landlord.status_with(&link, |status| status.settled);
    let object = Object::new(REALMS).unwrap();
    landlord.put(&link, &object);
    let lease = Lease { consoles: vec![named], ..world.lease_of(&object) };
    let standing = Standing::of(&status, "landlord").unwrap();
    let answer = landlord.order(&link, &world.landlord.order(&standing, Verb::Lease(lease)));
    let Answer::Accepted { tier: Some(tier), .. } = answer else { panic!("{answer:?}") };

    let (_identity, _statements) = tenant.enrol();
    let tenants_link = tenant.link();
    let seen = tenant.status_with(&tenants_link, |status| status.settled);
    assert_eq!(seen.tiers.iter().map(|tier| tier.name.as_str()).collect::<Vec<_>>(), [TENANT]);

    let first = world.facility.nodes()[0].first_process();
    let couriers = couriers_of(first);
    assert_eq!(couriers.len(), 2);
    compare(couriers[0], "courier");

    let severing = world.landlord.order(&standing, Verb::Sever(Target { tier }));
    let began = std::time::Instant::now();
    let answer = landlord.order(&link, &severing);
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    tenant.closed(&tenants_link);
    println!("the tenant's connection ended {:?} after its severing was ordered", began.elapsed());
    landlord.status_with(&link, |status| status.settled && status.tiers.len() == 1);
    assert_eq!(couriers_of(first).len(), 1);
}

/// The couriers of the node whose first process that is, as the machine counts: the first one's first.
fn couriers_of(first: u32) -> Vec<u32> {
    let namespace = |id: u32| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let node = namespace(first).unwrap();
    let ids =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_courier = |id: &u32| {
        let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
        line.starts_with(b"bmonitor-courier\0") && namespace(*id).as_ref() == Some(&node)
    };
    let mut couriers: Vec<u32> = ids.filter(is_courier).collect();
    couriers.sort_by_key(|id| status(*id)["Uid"].clone());
    couriers
}
