//! What boundary and directory files mean, by FORMATS' own words.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use std::net::IpAddr;

use boundary::{Budget, Direction, Directory, FilterSet, Form, Packet, PacketSet, Written, parse_packets};
use packet_set::{TCP, address_number};

const DIRECTORY: &str = r#"version = 1
serial = 7
facility = ["10.0.0.0/8", "198.51.100.0/24", "fd00:10::/32", "2001:db8:5::/48"]
[node.web-1]
addresses = ["10.1.0.11", "fd00:10::11"]
management = ["10.0.0.11"]
key = "lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU"
cluster = "bakery"
groups = ["db", "web"]
[node.web-2]
addresses = ["203.0.113.12"]
cluster = "bakery"
"#;

fn set(rules: &str, directory: bool) -> PacketSet {
    let directory = directory.then(|| Directory::parse(DIRECTORY.as_bytes()).unwrap());
    let file = format!("version = 1\n{rules}");
    let resolved = FilterSet::parse(file.as_bytes()).unwrap().resolve(directory.as_ref()).unwrap();
    resolved.packet_set(&mut Budget::for_tier()).unwrap()
}

fn remote(value: &str, directory: bool) -> PacketSet {
    set(&format!("[[allow]]\nremote = {value}"), directory)
}

fn has(set: &PacketSet, address: &str) -> bool {
    let remote = address_number(address.parse::<IpAddr>().unwrap());
    let (form, direction) = (Form::Flow, Direction::In);
    set.evaluate(&Packet { form, direction, protocol: TCP, remote, remote_port: 9, local_port: 80 })
}

#[test]
fn internet_is_what_formats_lists() {
    let internet = remote("\"internet\"", false);
    // First and last address of each excluded range, and their neighbours outside.
    for (first, last, before, after) in [
        ("0.0.0.0", "0.255.255.255", None, Some("1.0.0.0")),
        ("10.0.0.0", "10.255.255.255", Some("9.255.255.255"), Some("11.0.0.0")),
        ("100.64.0.0", "100.127.255.255", Some("100.63.255.255"), Some("100.128.0.0")),
        ("127.0.0.0", "127.255.255.255", Some("126.255.255.255"), Some("128.0.0.0")),
        ("169.254.0.0", "169.254.255.255", Some("169.253.255.255"), Some("169.255.0.0")),
        ("172.16.0.0", "172.31.255.255", Some("172.15.255.255"), Some("172.32.0.0")),
        ("192.0.0.0", "192.0.0.255", Some("191.255.255.255"), Some("192.0.1.0")),
        ("192.88.99.0", "192.88.99.255", Some("192.88.98.255"), Some("192.88.100.0")),
        ("192.168.0.0", "192.168.255.255", Some("192.167.255.255"), Some("192.169.0.0")),
        ("198.18.0.0", "198.19.255.255", Some("198.17.255.255"), Some("198.20.0.0")),
        ("224.0.0.0", "255.255.255.255", Some("223.255.255.255"), None),
        ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, Some("2000::")),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2000:ffff::"), Some("2001:200::")),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("2001:ffff::"), Some("2003::")),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("3fff:ffff::"), None),
    ] {
        assert!(!has(&internet, first) && !has(&internet, last), "{first} to {last}");
        for outside in [before, after].into_iter().flatten() {
            assert!(has(&internet, outside), "{outside}");
        }
    }
    for documentation in ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"] {
        assert!(has(&internet, documentation), "{documentation}");
    }
    let beside_facility = remote("\"internet\"", true);
    for inside in ["198.51.100.1", "2001:db8:5::1", "10.1.0.11"] {
        assert!(!has(&beside_facility, inside), "{inside}");
    }
    // A node's address outside the facility is part of the internet as well.
    assert!(has(&beside_facility, "203.0.113.12") && has(&remote("\"node:web-2\"", true), "203.0.113.12"));
}

#[test]
fn names_mean_the_realms_addresses() {
    let equal =
        |names: &str, addresses: &str| assert_eq!(remote(names, true), remote(addresses, false), "{names}");
    equal("\"node:web-1\"", "[\"10.1.0.11\", \"fd00:10::11\"]");
    equal("\"cluster:bakery\"", "[\"203.0.113.12\", \"fd00:10::11\", \"10.1.0.11\"]");
    equal("[\"group:db\", \"group:web\"]", "[\"10.1.0.11\", \"fd00:10::11\"]");
    equal("\"key:lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU\"", "[\"10.1.0.11\", \"fd00:10::11\"]");
}

#[test]
fn equal_sets_have_equal_digests_however_written() {
    let equal = |a: &str, b: &str| assert_eq!(set(a, false).digest(), set(b, false).digest(), "{a}\n{b}");
    equal("", "[[allow]]\n[[deny]]");
    equal("[[allow]]", "[[allow]]\nremote = [\"0.0.0.0/0\", \"::/0\"]");
    equal(
        "[[allow]]",
        "[[allow]]\ndirection = \"both\"\nprotocol = \"any\"\nremote = \"any\"\none_way = false",
    );
    equal("[[allow]]\nremote = \"::ffff:0.0.0.0/96\"", "[[allow]]\n[[deny]]\nremote = \"::/0\"");
    equal("[[allow]]\nremote = \"::ffff:10.1.0.0/112\"", "[[allow]]\nremote = \"10.1.0.0-10.1.255.255\"");
    equal(
        "[[allow]]\nremote = \"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\"",
        "[[allow]]\nremote = \"::/0\"",
    );
    equal(
        "[[allow]]\nprotocol = 6\nlocal_port = 80",
        "[[allow]]\nprotocol = \"tcp\"\nlocal_port = [\"80-80\", 80]",
    );
    equal(
        "[[allow]]\nprotocol = 58\nicmp_type = 8",
        "[[allow]]\nprotocol = \"icmpv6\"\nicmp_type = [8, \"8/3\"]",
    );
    equal("[[allow]]\none_way = true\n[[deny]]\none_way = true", "");
    equal(
        "[[deny]]\nremote = \"10.0.0.0/8\"\n[[allow]]",
        "[[allow]]\n[[deny]]\nremote = [\"10.128.0.0/9\", \"10.0.0.0/9\"]",
    );
}

#[test]
fn a_packet_line_has_what_its_protocol_has_and_no_more() {
    let tcp = r#"{"direction":"in","protocol":6,"remote":"::ffff:10.0.0.1","remote_port":1,"local_port":2,"one_way":true}"#;
    let packet = parse_packets(tcp.as_bytes()).unwrap()[0];
    assert_eq!((packet.form, packet.remote_address().to_string().as_str()), (Form::OneWay, "10.0.0.1"));
    let error = |line: &str| parse_packets(format!("\n{line}\n").as_bytes()).unwrap_err().to_string();
    assert_eq!(
        error(r#"{"direction":"in","protocol":17,"remote":"10.0.0.1","local_port":2}"#),
        "line 2: protocol 17 needs `remote_port`"
    );
    assert_eq!(
        error(
            r#"{"direction":"in","protocol":17,"remote":"10.0.0.1","remote_port":1,"local_port":2,"icmp_type":3}"#
        ),
        "line 2: protocol 17 has no `icmp_type`"
    );
    assert_eq!(
        error(r#"{"direction":"in","direction":"in","protocol":47,"remote":"10.0.0.1"}"#),
        "line 2: duplicate field `direction`"
    );
    // A surplus field is one without a value, too, and nothing but an object with texts is a packet.
    assert_eq!(
        error(
            r#"{"direction":"in","protocol":1,"remote":"10.0.0.1","icmp_type":8,"icmp_code":0,"local_port":null}"#
        ),
        "line 2: invalid type: null, expected u16"
    );
    assert_eq!(error(r#"["in",47,"10.0.0.1",null,null,null,null,false]"#), "line 2: this is no JSON object");
    assert_eq!(
        error(r#"{"direction":{"in":null},"protocol":47,"remote":"10.0.0.1"}"#),
        "line 2: invalid type: map, expected a string"
    );
}

#[test]
fn every_fault_has_a_hint() {
    let hinted = |text: &str, problems: boundary::Problems| {
        assert!(problems.as_slice().iter().all(|problem| problem.hint.is_some()), "{text}: {problems:?}");
    };
    for rule in [
        "name = 1\ndirection = [\"in\"]\nprotocol = 256\nremote = 5\none_way = \"true\"",
        "name = \"\"\nprotocol = 6.0\nremote = \"10.0.0.0/33\"",
        "protocol = \"tcp\"\nremote_port = 65536\nlocal_port = -1\nremote = \"node:\"",
        "protocol = \"icmp\"\nicmp_type = \"3-4\"\nremote = \"10.0.0.1-::1\"",
        "remote = \"key:lh1:short\"",
        "name = \"a\"\n[[deny]]\nname = \"a\"",
        "remote = 'any",
        "remote = 'any'\nremote = 'any'",
    ] {
        let text = format!("version = 1\n[[allow]]\n{rule}\n");
        hinted(&text, FilterSet::parse(text.as_bytes()).unwrap_err());
    }
    hinted("no UTF-8", FilterSet::parse(b"\xff").unwrap_err());
    for directory in [
        "serial = -1\nfacility = 10\nnode = 5",
        "serial = 9007199254740992\n[node.Web_1]\n[node.web-1]\naddresses = [5]\nkey = \"lh1:short\"",
        "[node.web-1]\naddresses = \"any\"\nmanagement = 5\ncluster = \"The Bakery\"\ngroups = 5",
        "facility = \"any\"\n[node]\nweb-1 = 5",
        "management = \"any\"\n[node.a.realm]\nb = 5\nB = 5",
        "[node.a.realm.b]\n[node.a.realm.c]\naddresses = []\n[node.a.realm.d]\nadress = \"10.1.0.1\"",
        "[node.a]\naddresses = \"10.1.0.2\"\n[node.a.realm.b]\naddresses = \"10.1.0.1\"",
        "[node.a.realm.b]\naddresses = \"10.1.0.1\"\n[node.c.realm.d]\naddresses = \"10.1.0.1\"",
    ] {
        let text = format!("version = 1\n{directory}\n");
        hinted(&text, Directory::parse(text.as_bytes()).unwrap_err());
    }
    let named = FilterSet::parse(b"version = 1\n[[allow]]\nremote = \"node:a\"").unwrap();
    hinted("no nodes", named.resolve(Some(&Directory::default())).unwrap_err());
}

#[test]
fn an_icmp_type_without_a_code_is_written_as_the_type_and_a_deny() {
    let denied = "[[allow]]\nprotocol = \"icmp\"\n[[deny]]\nprotocol = \"icmp\"\nremote = \"10.0.0.1\"\nicmp_type = \"3/4\"\n";
    for rules in [
        denied.to_owned(),
        format!("{denied}one_way = true\n"),
        denied.replace("[[deny]]", "one_way = true\n[[deny]]"),
    ] {
        let exact = set(&rules, false);
        let text = Written::of(&exact, &mut Budget::for_tier()).unwrap().to_string();
        // Codes one by one would be two hundred and fifty-five.
        assert!(text.len() < 500, "{text}");
        assert_eq!(set(text.strip_prefix("version = 1\n").unwrap(), false), exact, "{text}");
    }
}

const WITH_REALMS: &str = r#"version = 1
serial = 8
facility = ["10.0.0.0/8", "fd00:10::/32"]
management = ["10.0.0.2", "10.0.250.0/24"]

[node.n1]
management = ["10.0.0.11"]
key = "lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU"
cluster = "bakery"
[node.n1.realm.tenant-a]
addresses = ["10.1.0.11", "fd00:10:1::11"]
[node.n1.realm.tenant-b]
addresses = ["10.1.0.12"]

[node.n2]
addresses = ["10.1.0.21"]
groups = ["db", "web"]
"#;

#[test]
fn a_directory_has_the_addresses_of_each_realm() {
    let directory = Directory::parse(WITH_REALMS.as_bytes()).unwrap();
    let key = "lh1:Zmh6rfhivXdsj8GLjp-OIAiXFIVu4jOzkCpZHQ1fKSU".parse().unwrap();
    let (name, node) = directory.node_of_key(&key).unwrap();
    assert_eq!((name.as_str(), node.addresses.len()), ("n1", 3));
    let tenant: Vec<IpAddr> = ["10.1.0.11", "fd00:10:1::11"].map(|text| text.parse().unwrap()).to_vec();
    assert_eq!(node.realm(&"tenant-a".parse().unwrap()), Some(tenant));
    assert_eq!(node.realm(&"tenant-c".parse().unwrap()), None);
    let number = |text: &str| address_number(text.parse::<IpAddr>().unwrap());
    let managed = [("10.0.0.2", "10.0.0.2"), ("10.0.0.11", "10.0.0.11"), ("10.0.250.0", "10.0.250.255")];
    assert_eq!(directory.management(), managed.map(|(first, last)| (number(first), number(last))));
}

#[test]
fn a_directory_is_written_as_it_was_read() {
    let directory = Directory::parse(WITH_REALMS.as_bytes()).unwrap();
    assert_eq!(directory.to_string(), WITH_REALMS);
    let mut made = Directory::numbered(8);
    made.set_facility(&["10.0.0.0/8", "fd00:10::/32"]).unwrap();
    made.set_management(&["10.0.250.0/24", "10.0.0.2"]).unwrap();
    assert!(made.set_management(&["somewhere"]).is_err());
    for (name, node) in directory.nodes() {
        let mut entry = boundary::Node { key: node.key, cluster: node.cluster.clone(), ..Default::default() };
        entry.groups.clone_from(&node.groups);
        entry.management.clone_from(&node.management);
        if node.realms.is_empty() {
            entry.addresses.clone_from(&node.addresses);
        }
        for tier in node.realms.keys().rev() {
            entry.set_realm(tier.clone(), &["192.0.2.1".parse().unwrap()]);
            entry.set_realm(tier.clone(), &node.realm(tier).unwrap());
        }
        made.insert(name.clone(), entry);
    }
    assert_eq!(made, directory);
    let all = Directory::parse(b"version = 1\nfacility = [\"0.0.0.0/0\", \"::/0\"]").unwrap();
    assert_eq!(Directory::parse(all.to_string().as_bytes()).unwrap(), all);
}

#[test]
fn a_name_that_a_directory_has_lost_closes() {
    let file = "version = 1\n[[allow]]\nremote = [\"node:web-1\", \"node:gone\"]\n\
                [[deny]]\nprotocol = \"tcp\"\nlocal_port = 22\nremote = \"group:gone\"\n";
    let file = FilterSet::parse(file.as_bytes()).unwrap();
    assert!(file.has_names() && !FilterSet::default().has_names());
    let directory = Directory::parse(DIRECTORY.as_bytes()).unwrap();
    file.resolve(Some(&directory)).unwrap_err();
    let packet_set = |directory| {
        let (resolved, lost) = file.resolve_closed(directory);
        (resolved.packet_set(&mut Budget::for_tier()).unwrap(), lost.unwrap().as_slice().len())
    };
    let without = set(
        "[[allow]]\nremote = [\"10.1.0.11\", \"fd00:10::11\"]\n[[deny]]\nprotocol = \"tcp\"\nlocal_port = 22",
        false,
    );
    assert_eq!(packet_set(Some(&directory)), (without, 2));
    assert_eq!(packet_set(None).0, set("", false));
}
