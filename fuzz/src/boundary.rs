//! Boundary files, directories, packet lines.

use boundary::{Budget, Directory, FilterSet, PacketJson, Written, parse_packets, rectangle};

const DIRECTORY: &str = r#"
version = 1
facility = ["10.0.0.0/8", "fd00:10::/32"]
[node.web-1]
addresses = ["10.1.0.11"]
cluster = "bakery"
groups = ["db"]
"#;

/// A lower tier's budget is larger; this one keeps an input under a second.
fn budget() -> Budget {
    Budget::of_steps(100_000)
}

/// What parses resolves to a set that is the same when it is written back as rules; and the checker that
/// shares nothing with the algebra agrees that the two contain each other.
pub fn boundary_file(bytes: &[u8]) {
    let directory = Directory::parse(DIRECTORY.as_bytes()).expect("the directory is right");
    let Ok(file) = FilterSet::parse(bytes) else { return };
    let Ok(resolved) = file.resolve(Some(&directory)) else { return };
    let Ok(set) = resolved.packet_set(&mut budget()) else { return };
    let Ok(written) = Written::of(&set, &mut budget()) else { return };
    let again = FilterSet::parse(written.to_string().as_bytes()).expect("what is written parses");
    let again = again.resolve(None).expect("what is written names nothing");
    if let Ok(same) = again.packet_set(&mut budget()) {
        assert_eq!(same.digest(), set.digest());
    }
    const BOXES_MAX: usize = 2_000;
    assert!(!matches!(rectangle::excess(std::slice::from_ref(&resolved), &again, BOXES_MAX), Ok(Some(_))));
    assert!(!matches!(rectangle::excess(&[again], &resolved, BOXES_MAX), Ok(Some(_))));
}

/// Every node of a directory that parses can be named in a rule.
pub fn directory(bytes: &[u8]) {
    let Ok(directory) = Directory::parse(bytes) else { return };
    for (name, _) in directory.nodes().take(8) {
        let text = format!("version = 1\n[[allow]]\nremote = \"node:{name}\"\n");
        let file = FilterSet::parse(text.as_bytes()).expect("a node's name can be written");
        assert!(file.resolve(Some(&directory)).is_ok());
    }
}

/// A packet that is read is written so that it reads the same.
pub fn packet_lines(bytes: &[u8]) {
    let Ok(packets) = parse_packets(bytes) else { return };
    let lines =
        packets.iter().map(|packet| serde_json::to_string(&PacketJson::from(packet)).expect("plain values"));
    let text = lines.collect::<Vec<_>>().join("\n");
    assert_eq!(parse_packets(text.as_bytes()).ok(), Some(packets));
}
