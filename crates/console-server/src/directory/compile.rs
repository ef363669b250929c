//! The directory's text: the file that a person published, with what the console knows filled in where the file
//! is silent.

use id::Name;
use toml::{Table, Value};

use super::reserve::Reservation;
use crate::api::{No, usage};
use crate::records::KnownNode;

/// What the console knows of one node.
pub(super) struct Known<'a> {
    pub(super) node: &'a KnownNode,
    /// The first party below the root: what its nodes are called together.
    pub(super) cluster: Option<Name>,
    pub(super) reservations: Vec<&'a Reservation>,
}

/// The text of that serial; checked as a node will check it.
pub(super) fn compile(base: &str, serial: u64, known: &[Known<'_>]) -> Result<String, No> {
    let mut table: Table =
        toml::from_str(base).map_err(|error| usage(format!("this is no TOML: {}", error.message())))?;
    let serial = i64::try_from(serial).map_err(|_too_large| usage("the serial is too large"))?;
    table.insert("version".to_owned(), Value::Integer(1));
    table.insert("serial".to_owned(), Value::Integer(serial));
    let nodes = sub_table(&mut table, "node")?;
    for Known { node, cluster, reservations } in known {
        let entry = sub_table(nodes, node.name.as_str())?;
        let silent = |entry: &Table, key: &str| !entry.contains_key(key);
        if silent(entry, "key") {
            entry.insert("key".to_owned(), Value::String(node.node.to_string()));
        }
        if let Some(cluster) = cluster.as_ref().filter(|_| silent(entry, "cluster")) {
            entry.insert("cluster".to_owned(), Value::String(cluster.to_string()));
        }
        // A file that lists a node's addresses by itself says all of them.
        if reservations.is_empty() || !silent(entry, "addresses") {
            continue;
        }
        let realms = sub_table(entry, "realm")?;
        for reservation in reservations {
            let realm = sub_table(realms, reservation.name.as_str())?;
            if silent(realm, "addresses") {
                let address = Value::String(reservation.address.to_string());
                realm.insert("addresses".to_owned(), Value::Array(vec![address]));
            }
        }
    }
    let text = toml::to_string(&table).map_err(|error| usage(error.to_string()))?;
    boundary::Directory::parse(text.as_bytes())
        .map_err(|problems| usage(format!("this is no directory: {problems}")))?;
    Ok(text)
}

fn sub_table<'t>(table: &'t mut Table, key: &str) -> Result<&'t mut Table, No> {
    let entry = table.entry(key).or_insert_with(|| Value::Table(Table::new()));
    entry.as_table_mut().ok_or_else(|| usage(format!("`{key}` is no table")))
}

#[cfg(test)]
mod tests {
    use console_api::Trust;
    use id::{NodeId, PublicKey, TierId, Time};

    use super::*;

    #[test]
    fn what_the_file_is_silent_about_is_filled_in() {
        let node_key: PublicKey = "ed25519:11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo".parse().unwrap();
        let node = KnownNode {
            node: NodeId(node_key.id()),
            node_key,
            name: "n1".parse().unwrap(),
            trust: Trust::Confirmed,
            at: Time::ZERO,
        };
        let reservation = |name: &str, last| Reservation {
            node: node.node,
            tier: TierId::from_bytes([last; 16]),
            name: name.parse().unwrap(),
            address: [10, 1, 0, last].into(),
        };
        let (a, b) = (reservation("tenant-a", 10), reservation("tenant-b", 11));
        let known = || {
            vec![Known {
                node: &node,
                cluster: Some("tenant-a".parse().unwrap()),
                reservations: vec![&a, &b],
            }]
        };
        let base = "facility = [\"10.0.0.0/8\"]\n[node.n1]\ncluster = \"bakery\"\n[node.n1.realm.tenant-b]\n\
                    addresses = [\"10.1.9.9\"]\n[node.n2]\naddresses = [\"10.1.0.77\"]\n";
        let text = compile(base, 7, &known()).unwrap();
        let directory = boundary::Directory::parse(text.as_bytes()).unwrap();
        assert_eq!(directory.serial(), Some(7));
        let (name, entry) = directory.node_of_key(&node.node.0).unwrap();
        assert_eq!((name.as_str(), entry.cluster.as_ref().unwrap().as_str()), ("n1", "bakery"));
        let realm = |name: &str| entry.realm(&name.parse().unwrap()).unwrap()[0].to_string();
        assert_eq!((realm("tenant-a"), realm("tenant-b")), ("10.1.0.10".to_owned(), "10.1.9.9".to_owned()));
        assert_eq!(directory.nodes().count(), 2);
        // The same again is the same text: no new version is made of nothing.
        assert_eq!(compile(base, 7, &known()).unwrap(), text);
        assert!(compile("node = 3", 1, &known()).is_err());
        assert!(compile("nodes = {}", 1, &[]).is_err());
        assert!(compile("[node.n1]\nkey = \"lh1:x\"", 1, &[]).is_err());
    }
}
