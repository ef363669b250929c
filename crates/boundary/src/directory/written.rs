//! A directory as a file. Read back, it is the same directory.

use std::fmt;

use packet_set::address_of;

use super::{Directory, Node};
use crate::addresses;

impl fmt::Display for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "version = 1")?;
        if let Some(serial) = self.serial {
            writeln!(f, "serial = {serial}")?;
        }
        for (key, ranges) in [("facility", &self.facility), ("management", &self.management)] {
            // Everything is written as nothing where a boundary says it; here it is both families.
            let texts = addresses::written(ranges)
                .unwrap_or_else(|| ["0.0.0.0/0", "::/0"].map(str::to_owned).to_vec());
            if !texts.is_empty() {
                writeln!(f, "{key} = {texts:?}")?;
            }
        }
        for (name, node) in &self.nodes {
            writeln!(f, "\n[node.{name}]")?;
            node.write(f)?;
            for (tier, addresses) in &node.realms {
                writeln!(f, "[node.{name}.realm.{tier}]")?;
                writeln!(f, "addresses = {:?}", texts(addresses))?;
            }
        }
        Ok(())
    }
}

impl Node {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.realms.is_empty() && !self.addresses.is_empty() {
            writeln!(f, "addresses = {:?}", texts(&self.addresses))?;
        }
        if !self.management.is_empty() {
            writeln!(f, "management = {:?}", texts(&self.management))?;
        }
        if let Some(key) = &self.key {
            writeln!(f, "key = \"{key}\"")?;
        }
        if let Some(cluster) = &self.cluster {
            writeln!(f, "cluster = \"{cluster}\"")?;
        }
        if !self.groups.is_empty() {
            let groups: Vec<&str> = self.groups.iter().map(id::Name::as_str).collect();
            writeln!(f, "groups = {groups:?}")?;
        }
        Ok(())
    }
}

fn texts(addresses: &[u128]) -> Vec<String> {
    addresses.iter().map(|address| address_of(*address).to_string()).collect()
}
