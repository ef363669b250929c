//! Loading, finding again after a restart, switching, reading back.

use std::net::IpAddr;
use std::time::Duration;

use datapath::{Direction, Filter, FilterError, Lease, Program, Settings, compile};
use id::Generation;
use packet_set::{Budget, PacketSet};

use crate::place::Place;

fn lease() -> Lease {
    Lease { mac: [2, 0, 0, 0, 0, 1], addresses: vec![IpAddr::from([10, 1, 0, 11])] }
}

#[test]
fn what_is_read_back_is_what_was_switched_to() {
    let place = Place::new();
    let program = Program::embedded();
    let settings = Settings::default();
    let mut filter = Filter::load(&place.pins(), &program, &settings).unwrap();
    let image =
        compile(&[PacketSet::everything(), PacketSet::nothing()], &lease(), &mut Budget::for_tier()).unwrap();
    let observed = filter.observe("nolink0").unwrap();
    assert!(observed.cut && observed.live.is_none() && observed.deadline.is_none());

    filter.switch(&image, Generation::new(7).unwrap()).unwrap();
    filter.set_deadline(Duration::from_secs(1)).unwrap();
    filter.admit().unwrap();
    drop(filter);

    let mut filter = Filter::open(&place.pins(), &program, &settings).unwrap().expect("it is pinned");
    let observed = filter.observe("nolink0").unwrap();
    let live = observed.live.unwrap();
    assert_eq!((live.generation, live.digest, live.lease), (7, image.digest(), lease()));
    assert_eq!(observed.deadline, Some(Duration::from_secs(1)));
    assert!(!observed.cut);
    assert!(matches!(
        filter.switch(&image, Generation::new(7).unwrap()),
        Err(FilterError::Stale { live: 7, asked: 7 })
    ));
    assert!(!filter.judge(Direction::Out, &[0; 64], 1).unwrap().0);
}
