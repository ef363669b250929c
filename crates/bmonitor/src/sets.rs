//! Boundary objects as packet sets, and the deny that stands above every root.

use std::net::IpAddr;

use boundary::{Budget, FilterSet, PacketSet};

/// What a boundary object admits.
pub(crate) fn packet_set(content: &[u8]) -> Result<PacketSet, String> {
    let set = FilterSet::parse(content).map_err(|problems| problems.to_string())?;
    let resolved = set.resolve(None).map_err(|problems| problems.to_string())?;
    resolved.packet_set(&mut budget()).map_err(|too_complex| too_complex.to_string())
}

/// Everything but the management addresses (DESIGN, "The programs"): whatever the tiers' sets say.
pub(crate) fn above_the_root(management: &[IpAddr]) -> Result<PacketSet, String> {
    let mut text = "version = 1\n[[allow]]\n".to_owned();
    for address in management {
        text.push_str(&format!("[[deny]]\nremote = [\"{address}\"]\n"));
    }
    packet_set(text.as_bytes())
}

/// The steps that deciding over sets may take.
pub(crate) fn budget() -> Budget {
    Budget::for_tier()
}
