//! Leases over the API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{
    Consent, Consented, Direction, EraseBelow, ErasesBelow, Grant, Granted, Lease, LeasePlan, Offer, Page,
    PageQuery, Reassign, Renew, Sever, Severed, Take, Taken, TierState, TreeTier,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{grant, handover, sever, take};
use crate::api::{Answer, Body, No, Parameters, not_found};
use crate::node::mirror::Mirror;
use crate::node::no_longer_than;
use crate::records::{self, GrantedLease, KnownNode, KnownTier, grant_key};
use crate::state::Console;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .merge(super::standby::routes())
        .routes(routes!(lease_list, lease_grant))
        .routes(routes!(lease_show))
        .routes(routes!(lease_offer))
        .routes(routes!(lease_take))
        .routes(routes!(lease_erase_below))
        .routes(routes!(lease_tree))
        .routes(routes!(lease_plan))
        .routes(routes!(lease_sever))
        .routes(routes!(lease_reassign_plan))
        .routes(routes!(lease_reassign))
        .routes(routes!(lease_renew_plan))
        .routes(routes!(lease_renew))
        .routes(routes!(lease_consent))
}

/// Lease nodes to another party
#[utoipa::path(
    post, path = "/v1/leases", operation_id = "lease_grant", tag = "lease", request_body = Grant,
    responses((status = 200, description = "The offer to hand over", body = Granted)),
)]
async fn lease_grant(State(console): State<Arc<Console>>, Body(wanted): Body<Grant>) -> Answer<Granted> {
    grant::grant(&console, &wanted).await.map(Json)
}

/// The offer of a contract, to be handed over
#[utoipa::path(
    get, path = "/v1/contracts/{contract}/offer", operation_id = "lease_offer", tag = "lease",
    params(("contract" = String, Path, description = "The contract: L-9")),
    responses((status = 200, body = Offer)),
)]
async fn lease_offer(State(console): State<Arc<Console>>, Path(contract): Path<String>) -> Answer<Offer> {
    grant::offer(&console, &contract).await.map(Json)
}

/// Check an offer, and take over what holds
#[utoipa::path(
    post, path = "/v1/leases/take", operation_id = "lease_take", tag = "lease", request_body = Take,
    responses((status = 200, description = "What was checked, and what was taken", body = Taken)),
)]
async fn lease_take(State(console): State<Arc<Console>>, Body(wanted): Body<Take>) -> Answer<Taken> {
    take::take(&console, &wanted).await.map(Json)
}

/// What a severing would mean; nothing is changed
#[utoipa::path(
    post, path = "/v1/leases/sever/plan", operation_id = "lease_plan", tag = "lease", request_body = Sever,
    responses((status = 200, body = LeasePlan)),
)]
async fn lease_plan(State(console): State<Arc<Console>>, Body(wanted): Body<Sever>) -> Answer<LeasePlan> {
    sever::plan(&console, &wanted).await.map(Json)
}

/// End leases with everything below them, as planned
#[utoipa::path(
    post, path = "/v1/leases/sever", operation_id = "lease_sever", tag = "lease", request_body = Sever,
    responses((status = 200, body = Severed)),
)]
async fn lease_sever(State(console): State<Arc<Console>>, Body(wanted): Body<Sever>) -> Answer<Severed> {
    sever::sever(&console, &wanted).await.map(Json)
}

/// Let leases that are being taken over make new keys though tiers below have not consented: these lose their data
#[utoipa::path(
    post, path = "/v1/leases/take/erase-below", operation_id = "lease_erase_below", tag = "lease",
    request_body = EraseBelow, responses((status = 200, body = ErasesBelow)),
)]
async fn lease_erase_below(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<EraseBelow>,
) -> Answer<ErasesBelow> {
    take::erase_below(&console, &wanted).await.map(Json)
}

/// What handing leases to another party would mean; nothing is changed
#[utoipa::path(
    post, path = "/v1/leases/reassign/plan", operation_id = "lease_reassign_plan", tag = "lease",
    request_body = Reassign, responses((status = 200, body = LeasePlan)),
)]
async fn lease_reassign_plan(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<Reassign>,
) -> Answer<LeasePlan> {
    handover::reassign_plan(&console, &wanted).await.map(Json)
}

/// Hand leases to another party, as planned
#[utoipa::path(
    post, path = "/v1/leases/reassign", operation_id = "lease_reassign", tag = "lease", request_body = Reassign,
    responses((status = 200, description = "The offer to hand over", body = Granted)),
)]
async fn lease_reassign(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<Reassign>,
) -> Answer<Granted> {
    handover::reassign(&console, &wanted).await.map(Json)
}

/// What renewing tiers below by force would mean; nothing is changed
#[utoipa::path(
    post, path = "/v1/leases/renew/plan", operation_id = "lease_renew_plan", tag = "lease", request_body = Renew,
    responses((status = 200, body = LeasePlan)),
)]
async fn lease_renew_plan(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<Renew>,
) -> Answer<LeasePlan> {
    handover::renew_plan(&console, &wanted).await.map(Json)
}

/// Have nodes make new keys for tiers below, as planned
#[utoipa::path(
    post, path = "/v1/leases/renew", operation_id = "lease_renew", tag = "lease", request_body = Renew,
    responses((status = 200, body = Severed)),
)]
async fn lease_renew(State(console): State<Arc<Console>>, Body(wanted): Body<Renew>) -> Answer<Severed> {
    handover::renew(&console, &wanted).await.map(Json)
}

/// Let one renewal or re-assignment of a tier keep this console's tiers' data
#[utoipa::path(
    post, path = "/v1/leases/consent", operation_id = "lease_consent", tag = "lease", request_body = Consent,
    responses((status = 200, body = Consented)),
)]
async fn lease_consent(
    State(console): State<Arc<Console>>,
    Body(wanted): Body<Consent>,
) -> Answer<Consented> {
    handover::consent(&console, &wanted).await.map(Json)
}

/// Leases that this console holds, granted, or sees below those
#[utoipa::path(
    get, path = "/v1/leases", operation_id = "lease_list", tag = "lease", params(PageQuery),
    responses((status = 200, body = Page<Lease>)),
)]
async fn lease_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Lease>> {
    let leases = console.leases().await?;
    no_longer_than(leases, &query, |lease| format!("{}/{}", lease.node, lease.tier)).map(Json)
}

/// One lease, by its id or its tier's
#[utoipa::path(
    get, path = "/v1/leases/{lease}", operation_id = "lease_show", tag = "lease",
    params(("lease" = String, Path, description = "The lease's id, or its tier's")),
    responses((status = 200, body = Lease)),
)]
async fn lease_show(State(console): State<Arc<Console>>, Path(text): Path<String>) -> Answer<Lease> {
    let leases = console.leases().await?;
    let found =
        leases.into_iter().find(|lease| lease.lease.to_string() == text || lease.tier.to_string() == text);
    let short: String = text.chars().take(80).collect();
    found.map(Json).ok_or_else(|| not_found(format!("there is no lease {short:?}")))
}

/// Every node's tiers, parents first
#[utoipa::path(
    get, path = "/v1/tiers", operation_id = "lease_tree", tag = "lease", params(PageQuery),
    responses((status = 200, body = Page<TreeTier>)),
)]
async fn lease_tree(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<TreeTier>> {
    let mut tiers = Vec::new();
    for node in console.nodes()? {
        let turns = console.turns(&node)?;
        let mirror = turns.mirror.lock().await;
        let held: Vec<_> = console.tiers_on(node.node)?.into_iter().map(|tier| tier.tier).collect();
        let all = mirror.tenure.root().map(|root| mirror.tenure.subtree(root)).unwrap_or_default();
        tiers.extend(all.into_iter().filter_map(|id| {
            let tier = mirror.tenure.tier(id)?;
            Some(TreeTier {
                node_name: node.name.to_string(),
                node: node.node,
                tier: id,
                parent: tier.parent,
                name: tier.name.to_string(),
                contract: tier.contract.as_ref().map(ToString::to_string),
                depth: u32::try_from(mirror.tenure.path(id).len().saturating_sub(1)).unwrap_or(u32::MAX),
                held: held.contains(&id),
                standing: standing(&mirror, id),
            })
        }));
    }
    let mut numbered = 0_u32;
    no_longer_than(tiers, &query, |_| {
        numbered += 1;
        format!("{numbered:010}")
    })
    .map(Json)
}

/// The word that the node's status has for it.
fn standing(mirror: &Mirror, tier: id::TierId) -> String {
    if mirror.tenure.tier(tier).is_none() {
        return "ended".to_owned();
    }
    let standing = serde_json::to_value(mirror.tenure.standing(tier));
    standing.ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

impl Console {
    /// All leases that this console knows of, by node and tier.
    pub(crate) async fn leases(&self) -> Result<Vec<Lease>, No> {
        let mut leases = Vec::new();
        for node in self.nodes()? {
            let turns = self.turns(&node)?;
            let mirror = turns.mirror.lock().await;
            let held = self.tiers_on(node.node)?;
            for tier in &held {
                leases.push(self.held(&node, tier, &mirror)?);
            }
            let granted = records::all::<GrantedLease>(self.store(), &format!("grant/{}/", node.node))?;
            for read in &granted {
                leases.push(self.granted(&node, &read.value, &mirror)?);
            }
            for (id, tier) in mirror.tenure.tiers() {
                let below = held.iter().any(|held| mirror.tenure.is_below(id, held.tier));
                let known = records::get::<GrantedLease>(self.store(), &grant_key(node.node, id))?.is_some();
                if !below || known || held.iter().any(|held| held.tier == id) {
                    continue;
                }
                leases.push(Lease {
                    lease: tier.lease,
                    node: node.node,
                    node_name: node.name.to_string(),
                    tier: id,
                    name: tier.name.to_string(),
                    contract: tier.contract.as_ref().map(ToString::to_string),
                    // Granted by this console's tier, before its store was lost; or by somebody further below.
                    direction: if held.iter().any(|held| Some(held.tier) == tier.parent) {
                        Direction::Granted
                    } else {
                        Direction::Below
                    },
                    terms: Some(tier.terms),
                    epoch: tier.epoch,
                    standing: standing(&mirror, id),
                    state: None,
                    trust: None,
                    receipts: self.receipts_about(id)?,
                });
            }
        }
        leases.sort_by_key(|lease| (lease.node, lease.tier));
        Ok(leases)
    }

    fn held(&self, node: &KnownNode, held: &KnownTier, mirror: &Mirror) -> Result<Lease, No> {
        let tier = mirror.tenure.tier(held.tier);
        let is_root = mirror.tenure.root() == Some(held.tier);
        let ended = held.state == TierState::Ended || (mirror.is_known() && tier.is_none());
        Ok(Lease {
            lease: held.lease,
            node: node.node,
            node_name: node.name.to_string(),
            tier: held.tier,
            name: tier.map_or_else(String::new, |tier| tier.name.to_string()),
            contract: held.contract.clone(),
            direction: if is_root { Direction::Root } else { Direction::Held },
            terms: tier.map(|tier| tier.terms).or(held.terms),
            epoch: held.epoch,
            standing: if ended { "ended".to_owned() } else { standing(mirror, held.tier) },
            state: Some(if ended { TierState::Ended } else { held.state }),
            trust: Some(node.trust),
            receipts: self.receipts_about(held.tier)?,
        })
    }

    fn granted(&self, node: &KnownNode, granted: &GrantedLease, mirror: &Mirror) -> Result<Lease, No> {
        let tier = mirror.tenure.tier(granted.tier);
        Ok(Lease {
            lease: granted.lease,
            node: node.node,
            node_name: node.name.to_string(),
            tier: granted.tier,
            name: granted.name.to_string(),
            contract: Some(granted.contract.clone()),
            direction: if granted.below { Direction::Below } else { Direction::Granted },
            terms: Some(tier.map_or(granted.terms, |tier| tier.terms)),
            epoch: tier.map(|tier| tier.epoch).unwrap_or_default(),
            standing: if tier.is_some() && self.is_queued(node.node, granted.tier, granted.lease)? {
                "severing-queued".to_owned()
            } else {
                standing(mirror, granted.tier)
            },
            state: None,
            trust: None,
            receipts: self.receipts_about(granted.tier)?,
        })
    }
}
