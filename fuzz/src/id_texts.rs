//! Ids and their text forms: what parses prints as the text that was parsed.

use std::fmt::Display;
use std::str::FromStr;

use id::{Digest, KeyId, LeaseId, Name, NodeId, Nonce, TierId, Time};

pub fn id_texts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    same_text::<Digest>(text);
    same_text::<KeyId>(text);
    same_text::<NodeId>(text);
    same_text::<LeaseId>(text);
    same_text::<TierId>(text);
    same_text::<Nonce>(text);
    same_text::<Name>(text);
    if let Ok(time) = text.parse::<Time>() {
        assert_eq!(time.to_string().parse::<Time>().ok(), Some(time), "a time reads back");
    }
}

/// There is one way to write each id.
fn same_text<T: FromStr + Display>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string(), text);
    }
}
