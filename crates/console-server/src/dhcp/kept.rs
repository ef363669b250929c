//! What stands in the store of leases: as the API tells it.

use ::dhcp::server::{Class, Record, Standing};
use console_api::{DhcpClass, DhcpLease, DhcpStanding};
use id::Time;
use store::Key;

use crate::records::key;

/// Before the addresses of leases.
pub(crate) const LEASES: &str = "dhcp/lease/";
pub(crate) fn lease_key(lease: &DhcpLease) -> Key {
    key(format!("{LEASES}{}", lease.address))
}

pub(crate) fn lease(record: &Record) -> DhcpLease {
    DhcpLease {
        address: record.address,
        client: record.client.to_string(),
        mac: record.mac.to_string(),
        class: match record.class {
            Class::Node => DhcpClass::Node,
            Class::Realm => DhcpClass::Realm,
            Class::Other => DhcpClass::Other,
        },
        until: Time::from_millis(record.until_s.saturating_mul(1000)),
        standing: match record.standing {
            Standing::Leased => DhcpStanding::Leased,
            Standing::Released => DhcpStanding::Released,
            Standing::Declined => DhcpStanding::Declined,
        },
    }
}

/// The record of a lease; none, where it was not written by this program.
pub(crate) fn record(lease: &DhcpLease) -> Option<Record> {
    Some(Record {
        address: lease.address,
        client: lease.client.parse().ok()?,
        mac: lease.mac.parse().ok()?,
        class: match lease.class {
            DhcpClass::Node => Class::Node,
            DhcpClass::Realm => Class::Realm,
            DhcpClass::Other => Class::Other,
        },
        until_s: lease.until.as_millis().div_ceil(1000),
        standing: match lease.standing {
            DhcpStanding::Leased => Standing::Leased,
            DhcpStanding::Released => Standing::Released,
            DhcpStanding::Declined => Standing::Declined,
        },
    })
}

#[cfg(test)]
mod tests {
    use ::dhcp::ClientId;

    use super::*;

    #[test]
    fn a_lease_reads_back_from_the_store() {
        for (class, standing) in [
            (Class::Node, Standing::Leased),
            (Class::Realm, Standing::Released),
            (Class::Other, Standing::Declined),
        ] {
            let written = Record {
                address: "10.1.0.77".parse().unwrap(),
                client: ClientId::of(&[1; 32], &[2; 16]),
                mac: ::dhcp::Mac([2, 0, 0, 0, 0xab, 1]),
                class,
                until_s: 1_800_000_000,
                standing,
            };
            assert_eq!(record(&lease(&written)), Some(written));
        }
    }
}
