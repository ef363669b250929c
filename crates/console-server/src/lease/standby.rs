//! Nodes that stand by: a tenant says beforehand which nodes may take a place in its contract. When one of them
//! comes with a lease that says what the contract's other leases say, it is taken over without another offer.
//!
//! What a person does at `lease take` is done beforehand: N is confirmed. All the rest is checked as there; the
//! boundary must be, to the byte, one that was accepted in this contract before.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use console_api::{Check, Page, PageQuery, Standby, TierState, Trust};
use id::{Epoch, NodeId, PublicKey};
use keys::Statement;
use store::Transaction;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Answer, Body, No, Parameters, not_found, refused};
use crate::node::no_longer_than;
use crate::records::{self, KnownNode, KnownTier, key, value};
use crate::state::Console;
use crate::statement::{Expect, Expected, check};

pub(super) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(lease_standby_list, lease_standby))
        .routes(routes!(lease_standby_remove))
}

/// Nodes that may take a place in a contract without another offer
#[utoipa::path(
    get, path = "/v1/standbys", operation_id = "lease_standby_list", tag = "lease", params(PageQuery),
    responses((status = 200, body = Page<Standby>)),
)]
async fn lease_standby_list(
    State(console): State<Arc<Console>>,
    Parameters(query): Parameters<PageQuery>,
) -> Answer<Page<Standby>> {
    no_longer_than(console.standbys()?, &query, |standby| standby.node.to_string()).map(Json)
}

/// Let a node take a place in a contract, should the grantor give it one
#[utoipa::path(
    post, path = "/v1/standbys", operation_id = "lease_standby", tag = "lease", request_body = Standby,
    responses((status = 200, body = Standby)),
)]
async fn lease_standby(State(console): State<Arc<Console>>, Body(new): Body<Standby>) -> Answer<Standby> {
    if console.of_contract(&new.contract)?.is_empty() {
        return Err(not_found(format!("this console holds nothing under contract {:?}", new.contract))
            .hint("`leasehold lease list` shows contracts"));
    }
    console.commit(Transaction::new().put(&standby_key(new.node), value(&new))).await?;
    console.mind_the_window()?;
    Ok(Json(new))
}

/// Let a node take no place any more
#[utoipa::path(
    delete, path = "/v1/standbys/{node}", operation_id = "lease_standby_remove", tag = "lease",
    params(("node" = String, Path, description = "Its key's id")),
    responses((status = 200, body = Standby)),
)]
async fn lease_standby_remove(
    State(console): State<Arc<Console>>,
    Path(text): Path<String>,
) -> Answer<Standby> {
    let found = console.standbys()?.into_iter().find(|standby| standby.node.to_string() == text);
    let short: String = text.chars().take(80).collect();
    let standby = found.ok_or_else(|| not_found(format!("no node {short:?} stands by")))?;
    console.commit(Transaction::new().remove(&standby_key(standby.node))).await?;
    console.mind_the_window()?;
    Ok(Json(standby))
}

fn standby_key(node: NodeId) -> store::Key {
    key(format!("standby/{node}"))
}

impl Console {
    fn standbys(&self) -> Result<Vec<Standby>, No> {
        let all = records::all::<Standby>(self.store(), "standby/")?;
        Ok(all.into_iter().map(|read| read.value).collect())
    }

    /// The node that stands by under this key.
    pub(crate) fn standby(&self, node: NodeId) -> Result<Option<Standby>, No> {
        Ok(records::get(self.store(), &standby_key(node))?.map(|read| read.value))
    }

    /// Whether one that stands by may come as a stranger.
    pub(crate) fn awaits_standbys(&self) -> Result<bool, No> {
        for standby in self.standbys()? {
            let held = self.tiers_on(standby.node)?;
            if held.iter().all(|tier| tier.state == TierState::Ended) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The tiers that this console holds under a contract.
    fn of_contract(&self, contract: &str) -> Result<Vec<KnownTier>, No> {
        let tiers = self.tiers()?.into_iter().map(|read| read.value);
        Ok(tiers
            .filter(|tier| tier.state != TierState::Ended && tier.contract.as_deref() == Some(contract))
            .collect())
    }
}

/// A node that stands by has come with a lease: it is taken if it says what the others of the contract say.
pub(crate) async fn take(
    console: &Arc<Console>,
    standby: &Standby,
    statement: &Statement,
    identity: PublicKey,
    envelope: &str,
) -> Result<(), No> {
    // Two that come at once do not take one place: it is chosen and put on record in one turn.
    let _turn = console.standing_by.lock().await;
    let like = whose_place(console, &standby.contract, statement).await?.ok_or_else(|| {
        refused("other-boundary", format!("its boundary is none of contract {}", standby.contract))
    })?;
    let expected = Expected {
        node: standby.node,
        node_key: Some(standby.node.0),
        controllers: console.controller_keys(),
        tier: statement.tier,
        lease: statement.lease,
        epoch: Expect::Is(Epoch::new(1).unwrap_or_default()),
        boundary: Expect::Is(statement.boundary),
        directory: Expect::Is(like.directory),
        nonce: None,
        not_identity: None,
        identity: Some(identity),
    };
    let checked = check(envelope.as_bytes(), &expected);
    let Some(statement) = &checked.statement else {
        let why = checked.fault().map(|Check { check, found, .. }| format!("{check}: {found}"));
        return Err(refused("statement-refused", why.unwrap_or_default()));
    };
    if console.place(&identity).is_some() {
        return Err(refused("identity-known", "another tier has this identity here"));
    }
    let name =
        console.node(&standby.node.to_string()).map_or_else(|_new| standby.name.clone(), |node| node.name);
    let node = KnownNode {
        node: statement.node,
        node_key: statement.node_key,
        name,
        trust: Trust::Confirmed,
        at: console.world.now(),
    };
    let tier = KnownTier {
        node: statement.node,
        tier: statement.tier,
        lease: statement.lease,
        contract: Some(standby.contract.clone()),
        terms: like.terms,
        epoch: statement.epoch,
        identity,
        state: TierState::Taking,
        nonce: None,
        boundary: statement.boundary,
        directory: statement.directory,
        statement: envelope.to_owned(),
        erase_below: false,
    };
    super::bring::remember(console, (tier.node, tier.tier), &like).await?;
    console.introduce_node(&node, &tier).await?;
    console.pin(identity, (tier.node, tier.tier));
    console.mind_the_window()
}

/// Whose place it takes: a tier of the contract that is under the very same boundary. Where there are several, it is
/// not one whose place was taken before, and one that is silent rather than one that speaks.
async fn whose_place(
    console: &Arc<Console>,
    contract: &str,
    statement: &Statement,
) -> Result<Option<KnownTier>, No> {
    if statement.boundary.is_none() {
        return Ok(None);
    }
    let (others, mut like) = (console.of_contract(contract)?, Vec::new());
    let mut taken = BTreeSet::new();
    for other in others {
        taken.extend(super::bring::whose_place(console, (other.node, other.tier))?);
        if given(console, &other).await? == statement.boundary {
            like.push(other);
        }
    }
    let rank = |tier: &KnownTier| {
        let place = (tier.node, tier.tier);
        let speaks = console.live.last_heard(place).is_some_and(|heard| heard.is_fresh());
        (taken.contains(&place), speaks && console.live.link(place).is_some())
    };
    Ok(like.into_iter().min_by_key(rank))
}

/// The boundary that a tier is under now, as its node's journal says; else as its lease began.
async fn given(console: &Console, tier: &KnownTier) -> Result<Option<id::Digest>, No> {
    let node = console.node(&tier.node.to_string())?;
    let turns = console.turns(&node)?;
    let mirror = turns.mirror.lock().await;
    Ok(mirror.tenure.tier(tier.tier).map_or(tier.boundary, |there| there.given))
}
