//! Volumes as people see them.

use std::sync::Arc;

use console_api::Volume;

use crate::api::No;
use crate::engine::specification_of;
use crate::state::Console;

/// All of them, by name, node and tier.
pub(super) async fn all(console: &Arc<Console>) -> Result<Vec<Volume>, No> {
    let mut all = Vec::new();
    let places = match console.held_places(&[], None).await {
        Ok(places) => places,
        Err(no) if no.0.code == "not-found" => return Ok(all),
        Err(no) => return Err(no),
    };
    for place in places {
        let Ok(recorded) = place.recorded(console).await else { continue };
        let status = console.live.last_heard(place.key()).and_then(|heard| heard.status);
        let own =
            status.and_then(|status| status.tiers.into_iter().find(|tier| tier.tier == place.tier.tier));
        for (name, volume) in &recorded.volumes {
            let seen = own
                .as_ref()
                .and_then(|own| own.volumes.iter().find(|volume| volume.name.as_ref() == Some(name)));
            let lies_on = |demand: &&tenure::EngineDemand| {
                specification_of(console, demand).is_some_and(|specification| specification.volume == *name)
            };
            let engines = recorded.engines.iter().filter(|(_, demand)| lies_on(demand));
            all.push(Volume {
                name: name.clone(),
                node_name: place.node.name.to_string(),
                node: place.node.node,
                tier: place.tier.tier,
                tier_name: recorded.name.to_string(),
                size_mib: volume.size_mib.get(),
                state: seen.and_then(|seen| seen.state.clone()),
                used_mib: seen.and_then(|seen| seen.used_mib),
                engines: engines.map(|(name, _)| name.clone()).collect(),
            });
        }
    }
    all.sort_by_key(key);
    Ok(all)
}

/// Where it stands in the list.
pub(super) fn key(volume: &Volume) -> String {
    format!("{}/{}/{}", volume.name, volume.node_name, volume.tier)
}
