//! `docs/channel.md` against the code.

use node_protocol::call::{Call, OWN_TIER};
use node_protocol::frame::{ATTACHMENT_BYTES_MAX, JSON_BYTES_MAX};

use crate::back_off::{FIRST, LONGEST};
use crate::http::{CALL, STATUS};
use crate::{Limits, tls};

const PAGE: &str = include_str!("../../../../docs/channel.md");

#[test]
fn the_page_says_what_is_on_the_wire() {
    let limits = Limits::default();
    for wanted in [
        format!("ALPN: `{}`", std::str::from_utf8(tls::PROTOCOL).unwrap()),
        format!("`POST {CALL}`"),
        format!("`GET {STATUS}`"),
        format!("{} ms at most", FIRST.as_millis()),
        format!("{} s at the", LONGEST.as_secs()),
        format!("every {} s", limits.alive_every.as_secs()),
        format!("after {} s more", limits.alive_within.as_secs()),
        format!("{} MiB at most), the attachment", JSON_BYTES_MAX / 1024 / 1024),
        format!("the attachment ({} MiB at most)", ATTACHMENT_BYTES_MAX / 1024 / 1024),
        format!("\"about\":\"{OWN_TIER}\""),
    ] {
        assert!(PAGE.contains(&wanted), "{wanted}");
    }
}

#[test]
fn each_call_on_the_page_is_one() {
    let calls = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let digest = format!("sha256:{}", "0".repeat(64));
    let read = calls.map(|(call, _rest)| {
        let call = call.replace("sha256:…", &digest).replace("\"…\"", "\"0123456789abcdef0123456789abcdef\"");
        serde_json::from_str::<Call>(&call).unwrap_or_else(|error| panic!("{call}: {error}"))
    });
    assert_eq!(read.count(), 7);
}
