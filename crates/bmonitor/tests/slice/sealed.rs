//! Sealed orders: a carrier that cannot read them brings them, the node obeys them once.

use keys::SealedOrder;
use node_protocol::call::Answer;
use tenure::{Target, Verb};

use crate::world::{REALMS, SOON, TENANT, World};

/// The landlord severs the tenant by an order that whoever carries it cannot read.
pub(crate) fn obeyed_once() {
    let world = World::new();
    let (tier, _lease) = world.lease(0, REALMS);
    let sealing = world.statement(0, "landlord").sealing.unwrap();
    let order = world.landlord.order(&world.standing(0, "landlord"), Verb::Sever(Target { tier }));
    let sealed = SealedOrder::seal(order.to_json().as_bytes(), &sealing).unwrap().to_json();
    assert!(!sealed.contains(&tier.to_string()));
    let submit =
        |node: usize, bytes: &str| world.facility.nodes()[node].submit_bytes(bytes.as_bytes(), &[]).unwrap();

    // Another node refuses what is not for it, without asking custody.
    let said = submit(1, &sealed);
    assert_eq!((said.exit, said.code()), (4, Some("wrong-node")));

    // Changed on its way: nothing comes of it, and it is told.
    let mut changed: serde_json::Value = serde_json::from_str(&sealed).unwrap();
    changed["seq"] = (changed["seq"].as_u64().unwrap() + 1).into();
    assert_eq!(submit(0, &changed.to_string()).parse::<Answer>().unwrap(), Answer::Handed {});
    world.status_with(0, |status| status.warnings.iter().any(|warning| warning.code == "sealed-order"));
    assert!(world.tier(0, TENANT).is_some());

    assert_eq!(submit(0, &sealed).parse::<Answer>().unwrap(), Answer::Handed {});
    world.status_with(0, |status| status.tiers.iter().all(|tier| tier.name.as_str() != TENANT));
    world.settled(0);

    // Brought once more, it is an order of a past sequence: refused, on record.
    let refused = || {
        let journal = world.facility.nodes()[0].caller().journal(SOON).unwrap();
        String::from_utf8(journal).unwrap().matches("used-sequence").count()
    };
    assert_eq!(refused(), 0);
    assert_eq!(submit(0, &sealed).parse::<Answer>().unwrap(), Answer::Handed {});
    world.status_with(0, |_| refused() == 1);
}
