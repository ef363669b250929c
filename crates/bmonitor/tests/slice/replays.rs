//! Nothing old is accepted: all that was sent during a tenancy, sent again after its severing, to the console,
//! to the node, and as orders to the very node that was leased again to the very same party.

use std::io::{Read, Write};
use std::net::TcpStream;

use keys::Envelope;
use lab::{Object, Standing};
use node_protocol::call::Answer;
use tenure::{Boundary, Consoles, Verb};

use crate::between::Between;
use crate::console::{PATIENCE, Unopened};
use crate::couriers::{Tenancy, lease};
use crate::world::{REALMS, TENANT, WEB};

#[expect(clippy::print_stdout, reason = "the reason for each is part of the evidence")]
pub(crate) fn of_a_whole_tenancy() {
    let (tenants, told) = (Unopened::new(7444), Unopened::new(7445).address());
    let (console, named) = (tenants.address(), tenants.named_at(told));
    let mut tenancy =
        Tenancy::begin_between(tenants, &named, |facility| Between::listen(facility, told, console));
    let between = tenancy.between.clone().unwrap();
    for boundary in [WEB, REALMS] {
        let object = Object::new(boundary).unwrap();
        tenancy.tenant.put(&tenancy.tenants, &object);
        tenancy.tenant_orders(Verb::Boundary(Boundary { tier: None, object: object.name() }));
    }
    tenancy.tenant_orders(Verb::Consoles(Consoles { consoles: vec![named] }));
    tenancy.sever();
    tenancy.tenant.closed(&tenancy.tenants);
    tenancy.landlord.status_with(&tenancy.landlords, |status| status.settled && status.tiers.len() == 1);

    // The node's bytes, to the console that still has the old identity pinned.
    let kept = between.kept();
    assert!(kept.len() >= 2, "the stranger's connection and the tenant's: {}", kept.len());
    let router = tenancy.world.facility.namespace("router").unwrap();
    for kept in &kept {
        let mut replayed = router.run(|| TcpStream::connect(console)).unwrap().unwrap();
        replayed.write_all(&kept.from_node).unwrap_or_default();
        replayed.read_to_end(&mut Vec::new()).unwrap_or_default();
    }
    assert!(tenancy.tenant.nobody_came());

    // The console's bytes, to the node: leased again, to the same party with the same keys.
    let longest = kept.into_iter().max_by_key(|kept| kept.from_console.len()).unwrap();
    between.replay(Some(longest.from_console));
    let (_tier, again) = lease(&tenancy.world, &tenancy.landlord, &tenancy.landlords);
    between.wait_for_dials(3, PATIENCE);
    assert!(tenancy.tenant.nobody_came());
    between.replay(None);

    // The orders, through the new tenancy's own courier and by the node's own socket.
    tenancy.tenant.enrol();
    let link = tenancy.tenant.link();
    let before = tenancy.tenant.status_with(&link, |status| status.settled);
    tenancy.orders.push(again);
    let mut reasons = Vec::new();
    for order in &tenancy.orders {
        let by_socket = tenancy.world.facility.nodes()[0].submit(order, &[]).unwrap();
        let Answer::Refused(refused) = tenancy.tenant.order(&link, order) else { panic!("{order:?}") };
        assert_eq!(by_socket.code(), Some(refused.code.as_str()));
        println!("{}: {} ({})", verb(order), refused.code, refused.message);
        reasons.push(format!("{}: {}", verb(order), refused.code));
    }
    let wanted = [
        "lease: used-sequence",
        "boundary: unknown-tier",
        "boundary: unknown-tier",
        "consoles: unknown-tier",
        "sever: used-sequence",
        "lease: used-sequence",
    ];
    assert_eq!(reasons, wanted);
    let after = tenancy.tenant.status_with(&link, |status| status.settled);
    assert_eq!(Standing::of(&before, TENANT).unwrap().lease, Standing::of(&after, TENANT).unwrap().lease);
    assert_eq!(before.tiers, after.tiers);
}

fn verb(order: &Envelope) -> String {
    let payload: serde_json::Value = serde_json::from_slice(order.unverified_payload()).unwrap();
    payload["verb"].as_str().unwrap().to_owned()
}
