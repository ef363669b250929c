//! Engines as people see them: what is wanted, by the nodes' journals, and how it is, by their last words.

use std::sync::Arc;

use console_api::{Engine, EngineOutput};
use engine::specification::Specification;
use id::{Digest, Name};
use node_protocol::call::{Answer, Call, TierStatus};
use tenure::EngineDemand;

use crate::api::{No, not_found};
use crate::node::session::{call_failed, not_understood};
use crate::order::unreachable;
use crate::places::Place;
use crate::state::Console;

/// The specification that is in force, where this console has it.
pub(crate) fn specification_of(console: &Console, demand: &EngineDemand) -> Option<Specification> {
    Specification::parse(console.object_text(&demand.specification)?.as_bytes()).ok()
}

/// All engines, by name, node and tier; those of one name with their specifications.
pub(super) async fn all(console: &Arc<Console>, only: Option<&Name>) -> Result<Vec<Engine>, No> {
    let mut all = Vec::new();
    let places = match console.held_places(&[], None).await {
        Ok(places) => places,
        Err(no) if no.0.code == "not-found" => return Ok(all),
        Err(no) => return Err(no),
    };
    for place in places {
        let Ok(recorded) = place.recorded(console).await else { continue };
        let heard = console.live.last_heard(place.key());
        let status_at = heard.as_ref().filter(|heard| heard.status.is_some()).map(|heard| heard.at);
        let status = heard.and_then(|heard| heard.status);
        let own =
            status.and_then(|status| status.tiers.into_iter().find(|tier| tier.tier == place.tier.tier));
        for (name, demand) in &recorded.engines {
            if only.is_none_or(|only| only == name) {
                let tier_name = recorded.name.to_string();
                let shown = one(console, &place, (name, demand), own.as_ref());
                let text = only.and_then(|_| console.object_text(&demand.specification));
                all.push(Engine { tier_name, status_at, text, ..shown });
            }
        }
    }
    all.sort_by_key(key);
    Ok(all)
}

/// Where it stands in the list.
pub(super) fn key(engine: &Engine) -> String {
    format!("{}/{}/{}", engine.name, engine.node_name, engine.tier)
}

fn one(
    console: &Console,
    place: &Place,
    (name, demand): (&Name, &EngineDemand),
    own: Option<&TierStatus>,
) -> Engine {
    let specification = specification_of(console, demand);
    let realm = own.and_then(|own| own.realm.as_ref());
    Engine {
        name: name.clone(),
        node_name: place.node.name.to_string(),
        node: place.node.node,
        tier: place.tier.tier,
        tier_name: String::new(),
        running: demand.running,
        specification: demand.specification,
        text: None,
        image: specification.as_ref().map(|specification| specification.image),
        volume: specification.as_ref().map(|specification| specification.volume.clone()),
        ports: specification.map(|specification| specification.ports).unwrap_or_default(),
        addresses: realm.map(|realm| realm.addresses.clone()).unwrap_or_default(),
        status: own.and_then(|own| own.engines.iter().find(|engine| engine.name == *name).cloned()),
        status_at: None,
    }
}

/// The engines that are made of an image, as `web on n1`.
pub(crate) async fn made_of(console: &Arc<Console>, image: &Digest) -> Result<Vec<String>, No> {
    let all = all(console, None).await?.into_iter();
    Ok(all
        .filter(|engine| engine.image.as_ref() == Some(image))
        .map(|engine| format!("{} on {}", engine.name, engine.node_name))
        .collect())
}

/// The end of an engine's output, from the node.
pub(super) async fn output(console: &Arc<Console>, node: &str, name: Name) -> Result<EngineOutput, No> {
    let mut found = None;
    for place in console.held_places(&[node.to_owned()], None).await? {
        if place.recorded(console).await?.engines.contains_key(&name) {
            found = Some(place);
        }
    }
    let place = found.ok_or_else(|| not_found(format!("there is no engine {name} on node {node}")))?;
    let link = console.live.link(place.key()).ok_or_else(|| unreachable(&place.node.name))?;
    let call = Call::EngineOutput { tier: place.tier.tier, engine: name.clone() };
    let bytes = match link.call(&call, &[]).await.map_err(call_failed)? {
        (Answer::Output {}, bytes) => bytes,
        (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
        (other, _) => return Err(not_understood(&other)),
    };
    Ok(EngineOutput { node_name: place.node.name.to_string(), name, text: text(&bytes) })
}

/// As text. The node cuts anywhere: what is left of a character at the beginning is none.
fn text(bytes: &[u8]) -> String {
    let begins = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    String::from_utf8_lossy(bytes.get(begins..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_cut_within_a_character_begins_with_the_next() {
        let bytes = "\u{1F600}x\u{e9}".as_bytes();
        for (cut, expected) in
            [(0, "\u{1F600}x\u{e9}"), (1, "x\u{e9}"), (3, "x\u{e9}"), (4, "x\u{e9}"), (6, "")]
        {
            assert_eq!(text(&bytes[cut..]), expected, "{cut}");
        }
        assert_eq!(text(b"\xff\xfe"), "\u{fffd}\u{fffd}");
    }
}
