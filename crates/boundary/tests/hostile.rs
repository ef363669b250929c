//! No input makes a parser panic: arbitrary bytes, and right files with something changed.
#![expect(clippy::unwrap_used, reason = "a test panics where it fails")]

use boundary::{Budget, Directory, FilterSet, Written, compare, parse_packets};
use proptest::prelude::{ProptestConfig, Strategy, any, prop, proptest};

const BOUNDARY: &str = r#"version = 1

[[allow]]
name = "web"
direction = "in"
protocol = "tcp"
remote = ["internet", "10.1.0.0/16", "2001:db8::/32", "10.0.0.5-10.0.0.9", "node:web-1", "group:db", "any"]
remote_port = ["1024-65535"]
local_port = [80, 443, "8000-8099"]
one_way = false

[[deny]]
protocol = "icmp"
icmp_type = [8, "3/4"]
remote = "::ffff:10.0.0.0/104"
"#;

const DIRECTORY: &str = r#"version = 1
serial = 7
facility = ["10.0.0.0/8", "fd00:10::/32"]
[node.web-1]
addresses = ["10.1.0.11"]
management = ["10.0.0.11"]
cluster = "bakery"
groups = ["db"]
[node.web-2.realm.tenant-a]
addresses = ["10.1.0.12"]
"#;

const PACKETS: &str = r#"{"direction": "in", "protocol": 6, "remote": "10.1.0.7", "remote_port": 40000, "local_port": 443, "one_way": false}
{"direction": "out", "protocol": 1, "remote": "2001:db8::7", "icmp_type": 8, "icmp_code": 0}
"#;

/// What people and attackers put where it does not belong.
const PIECES: [&str; 24] = [
    "",
    "\"",
    "[",
    "]",
    "[[",
    "=",
    "\n",
    "\u{0}",
    "\u{feff}",
    "é",
    "-1",
    "65536",
    "256",
    "1e9",
    "0x10",
    "1_0",
    "/",
    "-",
    "::",
    "/129",
    "node:",
    "any",
    "true",
    "99999999999999999999999999",
];

/// The file with a few runs of bytes replaced by something else.
fn mutated(file: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), 0_usize..12, prop::sample::select(PIECES.to_vec()));
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut bytes = file.as_bytes().to_vec();
        for (at, length, piece) in changes {
            let from = at.index(bytes.len() + 1);
            let upto = bytes.len().min(from + length);
            bytes.splice(from..upto, piece.bytes());
        }
        bytes
    })
}

/// Everything that is done with files from elsewhere.
fn use_all(bytes: &[u8]) {
    let directory = Directory::parse(bytes).ok();
    let known = Directory::parse(DIRECTORY.as_bytes()).unwrap();
    if let Ok(set) = FilterSet::parse(bytes) {
        for directory in [directory.as_ref(), Some(&known), None] {
            let Ok(resolved) = set.resolve(directory) else { continue };
            let mut budget = Budget::of_steps(100_000);
            let exact = resolved.packet_set(&mut budget).unwrap();
            let written = Written::of(&exact, &mut budget).unwrap();
            let read = FilterSet::parse(written.to_string().as_bytes()).unwrap().resolve(None).unwrap();
            let comparison = compare(std::slice::from_ref(&read), &resolved, &[], &mut budget).unwrap();
            assert_eq!(comparison.excess, None);
            assert_eq!(comparison.upper, comparison.lower);
        }
    }
    for packet in parse_packets(bytes).unwrap_or_default() {
        assert!(packet.is_well_formed());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn arbitrary_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use_all(&bytes);
    }

    #[test]
    fn changed_boundaries_get_an_answer(bytes in mutated(BOUNDARY)) {
        use_all(&bytes);
    }

    #[test]
    fn changed_directories_get_an_answer(bytes in mutated(DIRECTORY)) {
        use_all(&bytes);
    }

    #[test]
    fn changed_packets_get_an_answer(bytes in mutated(PACKETS)) {
        use_all(&bytes);
    }
}

#[test]
fn deep_nesting_and_long_files_are_refused() {
    let deep = format!("version = 1\nallow = {}", "[".repeat(100_000));
    assert!(FilterSet::parse(deep.as_bytes()).is_err());
    let long = vec![b'#'; boundary::FILE_BYTES_MAX + 1];
    assert!(FilterSet::parse(&long).unwrap_err().to_string().contains("bytes, more than"));
    assert!(Directory::parse(&long).is_err());
    let dotted = format!("version = 1\n{}a = 1", "a.".repeat(100_000));
    assert!(FilterSet::parse(dotted.as_bytes()).is_err());
}

/// A short file that names a large cluster again and again is known by its parts, not by resolving it.
#[test]
fn what_a_file_comes_to_is_known_before_it_is_resolved() {
    let nodes = (0..1000).map(|node| {
        let address = std::net::Ipv4Addr::from(0x0a01_0000 + 2 * node);
        format!("[node.n{node}]\naddresses = [\"{address}\"]\ncluster = \"bakery\"\n")
    });
    let directory = format!("version = 1\nserial = 1\n{}", nodes.collect::<String>());
    let directory = Directory::parse(directory.as_bytes()).unwrap();
    let rules = "[[allow]]\nremote = \"cluster:bakery\"\n".repeat(20_000);
    let file = FilterSet::parse(format!("version = 1\n{rules}").as_bytes()).unwrap();
    assert!(!file.has_at_most(200_000, Some(&directory)));
    assert!(file.has_at_most(200_000, None));
    let one =
        FilterSet::parse(b"version = 1\n[[deny]]\nremote = [\"cluster:bakery\", \"10.0.0.1\"]\n").unwrap();
    assert!(one.has_at_most(1_009, Some(&directory)) && !one.has_at_most(1_008, Some(&directory)));
    assert!(FilterSet::parse(b"version = 1").unwrap().has_at_most(0, None));
}
