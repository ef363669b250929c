//! Orders: the payload, and what the state machine says to it.

use id::{Digest, KeyId, Time};
use tenure::{Fresh, Input, Order, Tenure, Verified, apply_all, decide, effects};

/// Any order is decided upon: accepted or refused, never a crash, and what it changes can be applied.
pub fn order(bytes: &[u8]) {
    let Ok(order) = Order::parse(bytes) else { return };
    let again = Order::parse(order.to_json().as_bytes()).expect("its own text parses");
    assert_eq!(again, order);
    let mut tenure = Tenure::unenrolled();
    submit(&mut tenure, order);
    drop(effects(&tenure));
}

fn submit(tenure: &mut Tenure, order: Order) {
    let input = Input::Order(Box::new(Verified {
        order,
        signer: KeyId::of_public_key(&[7; 32]),
        envelope: Digest::of(b"envelope"),
        fresh: Fresh::from_bytes([9; 32]),
        at: "2026-01-01T00:00:00Z".parse::<Time>().expect("a time"),
    }));
    if let Ok(changes) = decide(tenure, &input) {
        apply_all(tenure, &changes);
    }
}
