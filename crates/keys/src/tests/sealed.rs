//! Sealed orders: opened by the addressee in time, and nothing else.

use data_encoding::BASE64;
use id::{Epoch, NodeId, TierId, Time};
use serde_json::{Value, json};

use super::key;
use crate::{
    Addressee, Envelope, MalformedSealedOrder, NotOpened, NotSealed, OpeningKey, PayloadType,
    SEALED_ORDER_BYTES_MAX, SealedOrder,
};

fn addressee() -> Addressee {
    Addressee {
        node: NodeId(key(9).public().id()),
        tier: TierId::from_bytes([1; 16]),
        epoch: Epoch::new(2).unwrap(),
    }
}

fn now() -> Time {
    "2026-01-31T11:59:59.999Z".parse().unwrap()
}

fn payload() -> Value {
    json!({
        "node": addressee().node, "lease": "02020202020202020202020202020202", "tier": addressee().tier,
        "epoch": 2, "seq": 9, "not_after": "2026-01-31T12:00:00Z", "verb": "renew", "args": {},
    })
}

fn order(payload: &Value) -> Vec<u8> {
    Envelope::sign(PayloadType::Order, payload.to_string().into_bytes(), &key(1)).to_json().into_bytes()
}

fn sealed(to: &OpeningKey) -> SealedOrder {
    SealedOrder::seal(&order(&payload()), to.public()).unwrap()
}

#[test]
fn the_addressee_opens_the_very_bytes_that_were_signed() {
    let own = OpeningKey::generate().unwrap();
    // Not as this program would write it: the bytes that were signed count.
    let mut text = order(&payload());
    text.insert(1, b' ');
    let sent = SealedOrder::seal(&text, own.public()).unwrap().to_json();
    let read = SealedOrder::parse(sent.as_bytes()).unwrap();
    assert_eq!(read.to_json(), sent);
    assert_eq!(read.outside().addressee, addressee());
    assert_eq!(read.open(&own, &addressee(), now()).unwrap(), text);
    // Sealed twice, nobody sees that it is the same order.
    assert_ne!(sealed(&own).to_json(), sealed(&own).to_json());
}

#[test]
fn no_other_key_tier_epoch_node_or_time_opens_it() {
    let own = OpeningKey::generate().unwrap();
    let sent = sealed(&own);
    let other = OpeningKey::generate().unwrap();
    assert_eq!(sent.open(&other, &addressee(), now()), Err(NotOpened::Seal));
    for wrong in [
        Addressee { node: NodeId(key(8).public().id()), ..addressee() },
        Addressee { tier: TierId::from_bytes([2; 16]), ..addressee() },
        Addressee { epoch: Epoch::new(3).unwrap(), ..addressee() },
    ] {
        assert_eq!(sent.open(&own, &wrong, now()), Err(NotOpened::Addressee));
    }
    let end = sent.outside().not_after;
    assert_eq!(sent.open(&own, &addressee(), end), Err(NotOpened::Expired));
}

/// Each part of the outside, and each part within, changed on its way.
#[test]
fn whatever_is_changed_on_the_way_does_not_open() {
    let own = OpeningKey::generate().unwrap();
    let sent: Value = serde_json::from_str(&sealed(&own).to_json()).unwrap();
    let later = json!("2027-01-31T12:00:00Z");
    let node = json!(NodeId(key(8).public().id()));
    let tier = json!(TierId::from_bytes([2; 16]));
    for (name, value) in
        [("node", node), ("tier", tier), ("epoch", json!(3)), ("seq", json!(10)), ("not_after", later)]
    {
        let mut changed = sent.clone();
        changed[name] = value;
        let changed = SealedOrder::parse(changed.to_string().as_bytes()).unwrap();
        // Asked for as what it pretends to be.
        let asked = changed.outside().addressee;
        assert_eq!(changed.open(&own, &asked, now()), Err(NotOpened::Seal), "{name}");
    }
    for name in ["encapsulation", "sealed"] {
        let bytes = BASE64.decode(sent[name].as_str().unwrap().as_bytes()).unwrap();
        for place in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut flipped = bytes.clone();
            flipped[place] ^= 1;
            let mut changed = sent.clone();
            changed[name] = json!(BASE64.encode(&flipped));
            let changed = SealedOrder::parse(changed.to_string().as_bytes()).unwrap();
            assert_eq!(changed.open(&own, &addressee(), now()), Err(NotOpened::Seal), "{name} {place}");
        }
    }
}

/// Whoever has the public key can seal what they like: it must still be the order that the outside says.
#[test]
fn what_is_sealed_must_be_the_order_that_the_outside_says() {
    let own = OpeningKey::generate().unwrap();
    let check = |within: &[u8]| {
        let changed = sealed(&own).with_inside(within, own.public());
        changed.open(&own, &addressee(), now()).map(drop)
    };
    assert_eq!(check(&order(&payload())), Ok(()));
    for (name, value) in [
        ("seq", json!(10)),
        ("epoch", json!(3)),
        ("not_after", json!("2026-01-31T12:00:01Z")),
        ("tier", json!(TierId::from_bytes([2; 16]))),
        ("node", json!(NodeId(key(8).public().id()))),
    ] {
        let mut other = payload();
        other[name] = value;
        assert_eq!(check(&order(&other)), Err(NotOpened::Inside), "{name}");
    }
    let receipt = Envelope::sign(PayloadType::Receipt, payload().to_string().into_bytes(), &key(1));
    assert_eq!(check(receipt.to_json().as_bytes()), Err(NotOpened::Inside));
    assert_eq!(check(payload().to_string().as_bytes()), Err(NotOpened::Inside));
    assert_eq!(check(b""), Err(NotOpened::Inside));
}

#[test]
fn only_orders_with_an_end_are_sealed() {
    let own = OpeningKey::generate().unwrap();
    let seal = |bytes: &[u8]| SealedOrder::seal(bytes, own.public());
    let mut endless = payload();
    endless.as_object_mut().unwrap().remove("not_after");
    endless["nonce"] = json!("03030303030303030303030303030303");
    assert!(matches!(seal(&order(&endless)), Err(NotSealed::NoOrder)));
    let twice = payload().to_string().replacen("\"seq\":9", "\"seq\":9,\"seq\":10", 1);
    let twice = Envelope::sign(PayloadType::Order, twice.into_bytes(), &key(1)).to_json();
    assert!(matches!(seal(twice.as_bytes()), Err(NotSealed::NoOrder)));
    let head = Envelope::sign(PayloadType::Head, payload().to_string().into_bytes(), &key(1)).to_json();
    assert!(matches!(seal(head.as_bytes()), Err(NotSealed::NoOrder)));
    assert!(matches!(seal(b"{}"), Err(NotSealed::Envelope(_))));
    let none = crate::SealingKey::from_bytes(&[0xff; 1216]);
    assert!(matches!(SealedOrder::seal(&order(&payload()), &none), Err(NotSealed::Key(_))));
}

#[test]
fn the_longest_order_fits() {
    let own = OpeningKey::generate().unwrap();
    let mut long = payload();
    let room = (crate::ENVELOPE_BYTES_MAX - order(&long).len()) / 4 * 3 - 6;
    long["args"] = json!({ "x": "x".repeat(room) });
    let long = order(&long);
    assert!(crate::ENVELOPE_BYTES_MAX - long.len() < 16, "{} bytes", long.len());
    let sent = SealedOrder::seal(&long, own.public()).unwrap().to_json();
    let read = SealedOrder::parse(sent.as_bytes()).unwrap();
    assert_eq!(read.open(&own, &addressee(), now()).unwrap(), long);
}

#[test]
fn malformed_sealed_orders_are_refused() {
    let good = sealed(&OpeningKey::generate().unwrap()).to_json();
    let refused = |from: &str, to: &str| {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good);
        SealedOrder::parse(bad.as_bytes()).unwrap_err()
    };
    for (from, to) in [
        ("{", ""),
        ("}", "} x"),
        ("\"version\":1", "\"version\":2"),
        ("\"epoch\":2", "\"epoch\":-1"),
        ("\"seq\":9", "\"seq\":9007199254740992"),
        ("\"seq\":9", "\"seq\":9,\"seq\":9"),
        ("\"seq\":9", "\"seq\":9,\"term\":1"),
        ("\"not_after\":\"2026", "\"not_after\":\"20260"),
    ] {
        assert!(matches!(refused(from, to), MalformedSealedOrder::Json(_)), "{to}");
    }
    for (from, to) in [
        ("\"encapsulation\":\"", "\"encapsulation\":\"AAAA"),
        ("\"encapsulation\":\"", "\"encapsulation\":\"-"),
        ("\"sealed\":\"", "\"sealed\":\"="),
    ] {
        assert!(matches!(refused(from, to), MalformedSealedOrder::Bytes), "{to}");
    }
    let long = vec![b' '; SEALED_ORDER_BYTES_MAX + 1];
    assert!(matches!(SealedOrder::parse(&long), Err(MalformedSealedOrder::TooLong(_))));
}
