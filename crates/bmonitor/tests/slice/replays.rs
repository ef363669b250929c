//! Nothing old is accepted: all that was sent during a tenancy, sent again after its severing, to the console,
//! to the node, and as orders to the very node that was leased again to the very same party.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

use id::Digest;
use keys::{Envelope, SealedOrder};
use lab::{Object, Standing};
use node_protocol::call::{Answer, Call};
use tenure::{Boundary, Consoles, Verb};

use crate::between::Kept;
use crate::console::PATIENCE;
use crate::couriers::{Tenancy, lease};
use crate::world::{REALMS, SOON, TENANT, WEB};

#[expect(clippy::print_stdout, reason = "the reason for each is part of the evidence")]
pub(crate) fn of_a_whole_tenancy() {
    let mut tenancy = Tenancy::begin_between();
    let [to_landlord, to_tenant] = tenancy.between.clone().unwrap();
    for boundary in [WEB, REALMS] {
        let object = Object::new(boundary).unwrap();
        tenancy.tenant.put(&tenancy.tenants, &object);
        tenancy.tenant_orders(Verb::Boundary(Boundary { tier: None, object: object.name() }));
    }
    let consoles = tenancy.world.tenants_consoles.clone();
    tenancy.tenant_orders(Verb::Consoles(Consoles { consoles }));
    let sealed = ["landlord", TENANT].map(|tier| sealed_boundary(&tenancy, tier));
    tenancy.sever();
    tenancy.tenant.closed(&tenancy.tenants);
    tenancy.landlord.status_with(&tenancy.landlords, |status| status.settled && status.tiers.len() == 1);

    // The node's bytes, to the consoles that still have the old identities pinned.
    let (kept, of_the_landlord) = (to_tenant.kept(), to_landlord.kept());
    assert!(kept.len() >= 2, "the stranger's connection and the tenant's: {}", kept.len());
    assert!(of_the_landlord.len() >= 2, "the same of the landlord: {}", of_the_landlord.len());
    say_to(&tenancy, tenancy.consoles[1], &kept);
    say_to(&tenancy, tenancy.consoles[0], &of_the_landlord);
    assert!(tenancy.tenant.nobody_came() && tenancy.landlord.nobody_came());
    // And nobody was thrown out.
    tenancy.landlord.status_with(&tenancy.landlords, |status| status.settled);

    // The landlord's bytes, to the node, which dials the landlord as it did.
    to_landlord.replay(longest(of_the_landlord));
    to_landlord.cut();
    tenancy.landlord.closed(&tenancy.landlords);
    to_landlord.wait_for_dials(3, PATIENCE);
    assert!(tenancy.landlord.nobody_came());
    to_landlord.replay(None);
    tenancy.landlords = tenancy.landlord.link();

    // The tenant's bytes, to the node: leased again, to the same party with the same keys.
    to_tenant.replay(longest(kept));
    let (_tier, again) = lease(&tenancy.world, &tenancy.landlord, &tenancy.landlords);
    to_tenant.wait_for_dials(3, PATIENCE);
    assert!(tenancy.tenant.nobody_came());
    to_tenant.replay(None);

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
    // Those that whoever carries them cannot read.
    let bring = |sealed: &str| {
        let by_socket = tenancy.world.facility.nodes()[0].submit_bytes(sealed.as_bytes(), &[]).unwrap();
        let (answer, _) = tenancy.tenant.call(&link, &Call::SubmitOrder {}, sealed.as_bytes());
        assert_eq!(by_socket.parse::<Answer>().unwrap(), answer);
        answer
    };
    let [of_the_landlord, of_the_tenant] = &sealed;
    let refused = on_record(&tenancy, "used-sequence");
    assert_eq!(bring(of_the_landlord), Answer::Handed {});
    until(|| on_record(&tenancy, "used-sequence") == refused + 2);
    let Answer::Refused(why) = bring(of_the_tenant) else { panic!("it is taken") };
    println!("sealed boundary of the landlord: used-sequence, of the tenant: {} ({})", why.code, why.message);
    assert_eq!(why.code, "unknown-tier");

    let after = tenancy.tenant.status_with(&link, |status| status.settled);
    assert_eq!(Standing::of(&before, TENANT).unwrap().lease, Standing::of(&after, TENANT).unwrap().lease);
    assert_eq!(before.tiers, after.tiers);
}

/// Says all that a node has said, from the network between.
fn say_to(tenancy: &Tenancy, console: SocketAddr, kept: &[Kept]) {
    let router = tenancy.world.facility.namespace("router").unwrap();
    for kept in kept {
        let mut replayed = router.run(|| TcpStream::connect(console)).unwrap().unwrap();
        replayed.write_all(&kept.from_node).unwrap_or_default();
        replayed.read_to_end(&mut Vec::new()).unwrap_or_default();
    }
}

/// The longest that a console has said.
fn longest(kept: Vec<Kept>) -> Option<Vec<u8>> {
    kept.into_iter().map(|kept| kept.from_console).max_by_key(Vec::len)
}

/// An order of a tier's that was sealed for the node, brought by its own console, and obeyed.
fn sealed_boundary(tenancy: &Tenancy, of: &str) -> String {
    let Tenancy { world, landlord, landlords, tenant, tenants, tier, .. } = tenancy;
    let object = Object::new(REALMS).unwrap();
    let is_landlords = of == "landlord";
    let (console, link, party, tier) = if is_landlords {
        (landlord, landlords, &world.landlord, Some(*tier))
    } else {
        (tenant, tenants, &world.tenant, None)
    };
    console.put(link, &object);
    let order = party
        .order(&world.standing(0, of), Verb::Boundary(Boundary { tier, object: object.name() }))
        .to_json();
    let sealing = world.statement(0, of).sealing.unwrap();
    let sealed = SealedOrder::seal(order.as_bytes(), &sealing).unwrap().to_json();
    let (answer, _) = console.call(link, &Call::SubmitOrder {}, sealed.as_bytes());
    assert_eq!(answer, Answer::Handed {});
    let envelope = Digest::of(order.as_bytes()).to_string();
    until(|| on_record(tenancy, &envelope) > 0);
    sealed
}

/// How often something stands in the node's journal.
fn on_record(tenancy: &Tenancy, text: &str) -> usize {
    let journal = tenancy.world.facility.nodes()[0].caller().journal(SOON).unwrap();
    String::from_utf8(journal).unwrap().matches(text).count()
}

fn until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "it never becomes true");
    }
}

fn verb(order: &Envelope) -> String {
    let payload: serde_json::Value = serde_json::from_slice(order.unverified_payload()).unwrap();
    payload["verb"].as_str().unwrap().to_owned()
}
