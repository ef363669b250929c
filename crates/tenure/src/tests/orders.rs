//! `docs/orders.md` says what is so: its examples are the golden files, and these read back; its refusals are
//! all there are.

use crate::{Order, Refusal, Verb};

const PAGE: &str = include_str!("../../../../docs/orders.md");

const GOLDEN: [(&str, &str); 18] = [
    ("lease", include_str!("../../golden/orders/lease-with-consoles.json")),
    ("terms", include_str!("../../golden/orders/terms.json")),
    ("reassign", include_str!("../../golden/orders/reassign-with-consoles.json")),
    ("boundary", include_str!("../../golden/orders/boundary.json")),
    ("try-boundary", include_str!("../../golden/orders/try-boundary.json")),
    ("enrol-key", include_str!("../../golden/orders/enrol-key.json")),
    ("remove-key", include_str!("../../golden/orders/remove-key.json")),
    ("consoles", include_str!("../../golden/orders/consoles.json")),
    ("directory", include_str!("../../golden/orders/directory.json")),
    ("renew", include_str!("../../golden/orders/renew-with-nonce.json")),
    ("consent", include_str!("../../golden/orders/consent.json")),
    ("suspend", include_str!("../../golden/orders/suspend.json")),
    ("resume", include_str!("../../golden/orders/resume.json")),
    ("power", include_str!("../../golden/orders/power.json")),
    ("engine", include_str!("../../golden/orders/engine.json")),
    ("volume", include_str!("../../golden/orders/volume.json")),
    ("remove-volume", include_str!("../../golden/orders/remove-volume.json")),
    ("sever", include_str!("../../golden/orders/sever.json")),
];

/// Orders as they were before there were consoles.
const OLDER: [(&str, &str); 3] = [
    ("lease", include_str!("../../golden/orders/lease.json")),
    ("reassign", include_str!("../../golden/orders/reassign.json")),
    ("renew", include_str!("../../golden/orders/renew.json")),
];

#[test]
fn each_golden_order_reads_back_to_the_same_text() {
    for (name, text) in GOLDEN.into_iter().chain(OLDER) {
        let order = Order::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(order.verb.name(), name);
        let golden: serde_json::Value = serde_json::from_str(text).unwrap();
        let written: serde_json::Value = serde_json::from_str(&order.to_json()).unwrap();
        assert_eq!(written, golden, "{name}");
        assert_eq!(Order::parse(order.to_json().as_bytes()).unwrap(), order);
    }
}

#[test]
fn the_page_shows_each_golden_order_under_its_verb_with_its_right() {
    for (name, text) in GOLDEN {
        let section = PAGE.split("\n## ").find(|section| section.starts_with(&format!("`{name}`"))).unwrap();
        assert!(section.contains(&format!("```json\n{text}```")), "{name}: another example on the page");
        let verb: Verb = Order::parse(text.as_bytes()).unwrap().verb;
        assert!(section.contains(&format!("Right: `{}`", verb.right())), "{name}: another right on the page");
    }
}

#[test]
fn the_page_lists_every_refusal() {
    // serde names all variants when it is given none of them.
    let error = serde_json::from_str::<Refusal>(r#"{"code":""}"#).unwrap_err().to_string();
    let (_, list) = error.split_once("expected one of ").unwrap();
    let codes: Vec<&str> = list.split('`').skip(1).step_by(2).collect();
    assert!(codes.len() > 30, "{codes:?}");
    for code in &codes {
        assert!(PAGE.contains(&format!("| `{code}` | ")), "{code} is not on the page");
    }
    let rows = PAGE.lines().filter(|line| line.starts_with("| `")).count();
    assert_eq!(rows, codes.len(), "a refusal on the page that does not exist");
}

#[test]
fn what_is_not_an_order_is_refused_with_what_is_wrong() {
    let (_, sever) = GOLDEN[17];
    let cases = [
        (sever.replace("\"args\": {", "\"args\": { \"more\": 1,"), "in `args`: unknown field `more`"),
        (sever.replace("\"verb\": \"sever\"", "\"verb\": \"look\""), "an unknown verb \"look\""),
        (sever.replace("\"epoch\": 1", "\"epoch\": 1, \"epoch\": 2"), "duplicate field `epoch`"),
        (sever.replace("\"epoch\": 1", "\"epoch\": 9007199254740992"), "a number below 2^53"),
        (
            sever.replace("\"epoch\": 1", "\"epoch\": 1, \"not_after\": \"2026-01-31T12:00:00Z\""),
            "exactly one of",
        ),
        (sever.replace("\"epoch\": 1,", ""), "missing field `epoch`"),
        (sever.replace("\"tier\": \"fedc", "\"tier\": \"xedc"), "in `args`: "),
        (format!("{sever} x"), "trailing characters"),
        (" ".repeat(crate::limits::ORDER_BYTES_MAX + 1), "16384 are the most"),
    ];
    for (text, wanted) in cases {
        let error = Order::parse(text.as_bytes()).unwrap_err();
        assert!(error.contains(wanted), "{error:?} instead of {wanted:?}");
    }
}
