use std::path::Path;

use expect_test::{Expect, expect};

use super::{Config, host_link};

const GOOD: &str = r#"
version = 1
name = "n1"
state = "/var/lib/bmonitor"
run = "/run/bmonitor"
pins = "/run/bmonitor/bpf"
bridge = "br0"
management = ["10.0.0.11"]

[[realm]]
tier = "tenant-a"
address = ["10.1.0.11/16", "fd00:10::11/64"]
gateway = ["10.1.0.1"]
"#;

fn parse(text: &str) -> Result<Config, super::Problems> {
    Config::parse(Path::new("bmonitor.toml"), text)
}

#[expect(clippy::needless_pass_by_value, reason = "as expect_test wants it")]
fn check(text: &str, expected: Expect) {
    expected.assert_eq(&parse(text).unwrap_err().to_string());
}

#[test]
fn a_good_file_is_read_and_names_follow() {
    let config = parse(GOOD).unwrap();
    let tier = "tenant-a".parse().unwrap();
    assert_eq!(config.socket(), Path::new("/run/bmonitor/bmonitor.sock"));
    assert_eq!(config.namespace(&tier), Path::new("/run/netns/lh-n1-tenant-a"));
    assert_eq!(config.pins(&tier), Path::new("/run/bmonitor/bpf/tenant-a"));
    assert_eq!(config.realm(&tier).unwrap().addresses.len(), 2);
    assert_eq!(host_link(&tier).len(), 14);
    let mac = config.mac(&tier);
    assert_eq!(mac[0] & 3, 2, "locally administered, not a group");
    assert_ne!(mac, config.mac(&"tenant-b".parse().unwrap()));
}

#[test]
fn a_key_file_is_named_in_a_table_of_its_own() {
    assert_eq!(parse(GOOD).unwrap().key_file, None);
    let config = parse(&format!("{GOOD}\n[custody]\nkey_file = \"/media/key/n1\"\n")).unwrap();
    assert_eq!(config.key_file.as_deref(), Some(Path::new("/media/key/n1")));
    check(
        &format!("{GOOD}[custody]\nkey_file = \"key\"\nshare = 1\n"),
        expect![[r#"
            bmonitor.toml:15: `key_file` is not an absolute path without `..` of at most 255 bytes
            bmonitor.toml:16: custody: unknown key `share`; known are key_file"#]],
    );
    check(&format!("custody = 1\n{GOOD}"), expect!["bmonitor.toml:1: `custody` is no [custody]"]);
}

#[test]
fn every_bad_setting_is_reported_at_once_with_its_line() {
    check(
        r#"
version = 1
name = "No Name"
state = "relative"
run = 7
bridge = "far too long a name"
management = ["10.0.0.300"]
orderers = [-1]
colour = "green"
[[realm]]
tier = "tenant-a"
address = ["10.1.0.11", "127.0.0.1/8"]
gate = 1
"#,
        expect![[r#"
            bmonitor.toml:1: `pins` is missing
            bmonitor.toml:3: `name`: "No Name" is not a name (1 to 32 of a-z, 0-9 and -, no - at either end)
            bmonitor.toml:4: `state` is not an absolute path without `..` of at most 255 bytes
            bmonitor.toml:5: `run` is not a text
            bmonitor.toml:6: `bridge` is not the name of a link: 1 to 15 of a-z, A-Z, 0-9, - and _
            bmonitor.toml:7: `management`: an entry is not an IPv4 or IPv6 address
            bmonitor.toml:8: `orderers`: an entry is not a number from 0 to 4294967295
            bmonitor.toml:9: unknown key `colour`; known are version, name, state, run, pins, namespaces, prefix, bridge, management, orderers, dhcp, realm, engines, custody, volumes
            bmonitor.toml:12: `address`: an entry is not a host's address with its prefix length, as 10.1.0.11/16
            bmonitor.toml:12: `address`: an entry is not a host's address with its prefix length, as 10.1.0.11/16
            bmonitor.toml:13: realm[0]: unknown key `gate`; known are tier, address, gateway"#]],
    );
}

#[test]
fn another_version_and_no_toml_at_all() {
    check("version = 2\nwhat = 1\n", expect!["bmonitor.toml:1: `version` is not 1, the only one known"]);
    check("", expect!["bmonitor.toml:1: `version` is missing"]);
    check(
        "version = 1\nname = \nrun = \"\"\"\n",
        expect![[r#"
        bmonitor.toml:2: string values must be quoted, expected literal string
        bmonitor.toml:4: invalid multi-line basic string, expected `"`"#]],
    );
}

#[test]
fn what_does_not_fit_together() {
    let twice =
        format!("{GOOD}\n[[realm]]\ntier = \"tenant-a\"\naddress = [\"10.0.0.11/8\", \"10.1.0.11/16\"]\n");
    check(
        &twice,
        expect![[r#"
            bmonitor.toml:1: address 10.0.0.11 is given twice
            bmonitor.toml:1: address 10.1.0.11 is given twice
            bmonitor.toml:1: tier tenant-a has two realms"#]],
    );
    let long = GOOD.replace("/run/bmonitor\"", &format!("/{}\"", "x".repeat(100)));
    check(
        &long,
        expect!["bmonitor.toml:1: `run` is too long for the name of a socket in it (at most 93 bytes)"],
    );
}

#[test]
fn no_change_of_a_byte_and_no_cut_is_more_than_a_problem() {
    for at in 0..GOOD.len() {
        // Read or refused: what matters is that neither ends the process.
        drop(parse(&GOOD[..at]));
        for byte in [b'"', b'[', b'\n', b'\\', b'=', b'.', b'0', 0x01] {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            drop(parse(str::from_utf8(&bytes).unwrap()));
        }
    }
    assert!(parse(&"[".repeat(60_000)).is_err());
    assert!(parse(&format!("version = {}1{}", "[".repeat(20_000), "]".repeat(20_000))).is_err());
}
