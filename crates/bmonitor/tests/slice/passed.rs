//! What passed at a realm is its tier's to hear and nobody else's, and does not fill the flow table for good.

use std::time::{Duration, Instant};

use datapath::{Filter, Program, Settings};
use node_protocol::call::{Answer, Call, PassedFlows, code};

use crate::console::Console;
use crate::couriers::{Tenancy, refused};
use crate::world::{REALMS, SOON, TENANT, at};

/// A machine that is busy with other tests is slow; nothing here waits that long by itself.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(PAUSE);
    }
}

pub(crate) fn told_to_its_tier() {
    let mut tenancy = Tenancy::begin();
    // The other node is the landlord's alone.
    tenancy.world.tenants_consoles.clear();
    tenancy.world.start(1, &[]);
    tenancy.world.lease(1, REALMS);
    tenancy.world.settled(0);
    tenancy.world.settled(1);
    let server = tenancy.world.server(0);
    let client = tenancy.world.engine(1, "client");
    for _ in 0..2 {
        client.connect(at(0, 80), SOON).unwrap().unwrap();
    }

    let Tenancy { world, landlord, landlords, tenant, tenants, tier, .. } = &tenancy;
    let question = Call::Passed { tier: *tier };
    let told = until("two flows are told", || {
        let (answer, _) = tenant.call(tenants, &question, &[]);
        let Answer::Passed(passed) = answer else { panic!("{answer:?}") };
        let flows: u64 = passed.kinds.iter().map(|kind| kind.flows).sum();
        (flows == 2).then_some(passed)
    });
    let PassedFlows { kinds, beyond: 0, .. } = *told else { panic!("{told:?}") };
    let [kind] = kinds.as_slice() else { panic!("{kinds:?}") };
    let wanted = ["in", "10.1.0.12"].map(serde_json::Value::from);
    assert_eq!([kind.packet["direction"].clone(), kind.packet["remote"].clone()], wanted);
    assert_eq!((&kind.packet["protocol"], &kind.packet["local_port"]), (&6.into(), &80.into()));

    // Neither who granted the tier hears of it, nor who sits at the node.
    let asked = |console: &Console, link| refused(console.call(link, &question, &[]).0);
    assert_eq!(asked(landlord, landlords), code::NOT_FOUND);
    let (answer, _) = world.facility.nodes()[0].call(&question, &[], SOON).unwrap();
    assert_eq!(refused(answer), code::NOT_FOUND);

    // Who spoke is gone, either end: ten seconds later their places come free.
    drop((client, server));
    let pins = world.facility.nodes()[0].pins().join(TENANT);
    let filter = Filter::open(&pins, &Program::embedded(), &Settings::default()).unwrap().unwrap();
    until("the ended flows leave the table", || filter.flows().unwrap().is_empty().then_some(()));
}
