//! The orders of a tenancy, byte by byte as they were sent: a node's journal has their content and their digests, and
//! signatures follow from the keys.

use id::Digest;
use keys::{Envelope, PayloadType, SigningKey};
use serde_json::Value;
use tenure::{Input, Order};

/// One that a node has obeyed.
pub(crate) struct Obeyed {
    pub(crate) verb: String,
    pub(crate) envelope: Envelope,
}

/// All orders in a journal's export, signed by whichever of the keys signed them.
pub(crate) fn obeyed(export: &[u8], keys: &[SigningKey]) -> Vec<Obeyed> {
    let lines = export.split(|byte| *byte == b'\n');
    let records = lines.filter_map(|line| {
        let from = line.iter().position(|byte| *byte == b'{')?;
        serde_json::from_slice::<Value>(&line[from..]).ok()
    });
    let inputs = records.filter_map(|record| {
        let input = record.pointer("/entry/decided/input")?.clone();
        Some(serde_json::from_value::<Input>(input).unwrap())
    });
    let order = |input| {
        let Input::Order(verified) = input else { return None };
        let key = keys.iter().find(|key| key.public().id() == verified.signer).unwrap();
        let order: Order = verified.order;
        let json = order.to_json();
        let verb = serde_json::from_str::<Value>(&json).unwrap()["verb"].as_str().unwrap().to_owned();
        let envelope = Envelope::sign(PayloadType::Order, json.into_bytes(), key);
        assert_eq!(
            Digest::of(envelope.to_json().as_bytes()),
            verified.envelope,
            "not as it was sent: {verb}"
        );
        Some(Obeyed { verb, envelope })
    };
    inputs.filter_map(order).collect()
}
