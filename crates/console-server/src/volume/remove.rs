//! Removing: first what would be lost where, then, under that plan's name, the orders.

use std::sync::Arc;

use console_api::{Exit, VolumePlan, VolumeRemove};
use id::{Digester, Name};
use serde_json::json;
use tenure::Tier;

use super::{come, ended, order, target};
use crate::api::{No, not_found};
use crate::engine::specification_of;
use crate::lease::short;
use crate::places::Place;
use crate::state::Console;

/// What removing cannot make good.
const RISK: &str = "destroy-data";

/// What it would mean. Nothing is changed.
pub(super) async fn plan(console: &Arc<Console>, wanted: &VolumeRemove) -> Result<VolumePlan, No> {
    Ok(planned(console, wanted).await?.1)
}

/// Removes, if the plan is the one that was looked at.
pub(super) async fn remove(console: &Arc<Console>, wanted: &VolumeRemove) -> Result<VolumePlan, No> {
    let (places, mut plan) = planned(console, wanted).await?;
    if wanted.if_match.as_ref() != Some(&plan.plan) {
        return Err(No::new("plan-stale", Exit::Stale, format!("the plan is {} now", plan.plan))
            .hint("look at it anew with --plan"));
    }
    let begun: Vec<_> = places
        .into_iter()
        .map(|place| {
            let (console, args) = (Arc::clone(console), json!({ "name": wanted.name }));
            tokio::spawn(async move { order(&console, &place, "remove-volume", args).await })
        })
        .collect();
    for (target, task) in plan.targets.iter_mut().zip(begun) {
        come(target, task.await.unwrap_or_else(ended));
    }
    Ok(plan)
}

async fn planned(console: &Arc<Console>, wanted: &VolumeRemove) -> Result<(Vec<Place>, VolumePlan), No> {
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    let mut digester = Digester::new("leasehold volume plan").part(wanted.name.as_str().as_bytes());
    for place in console.held_places(&wanted.nodes, wanted.of.as_deref()).await? {
        let Ok(recorded) = place.recorded(console).await else { continue };
        let Some(volume) = recorded.volumes.get(&wanted.name) else { continue };
        let mut target = target(console, &place);
        target.consequences = consequences(console, &recorded, &wanted.name);
        digester = digester.part(place.node.node.to_string().as_bytes()).part(place.tier.tier.as_bytes());
        digester = digester.part(&volume.number.to_be_bytes());
        for consequence in &target.consequences {
            digester = digester.part(consequence.as_bytes());
        }
        places.push(place);
        targets.push(target);
    }
    if places.is_empty() {
        return Err(not_found(format!("there is no volume {} there", wanted.name))
            .hint("`leasehold volume list` shows all"));
    }
    let plan = VolumePlan { plan: short(&digester.finish()), risks: vec![RISK.to_owned()], targets };
    Ok((places, plan))
}

/// What is lost.
fn consequences(console: &Console, tier: &Tier, volume: &Name) -> Vec<String> {
    let size = tier.volumes.get(volume).map_or(0, |volume| volume.size_mib.get());
    let mut all = vec![format!("{size} MiB become unreadable for ever")];
    for (name, demand) in &tier.engines {
        if specification_of(console, demand).is_some_and(|specification| specification.volume == *volume) {
            all.push(format!("engine {name} loses its data and its image, and cannot run"));
        }
    }
    all
}
