//! Where something is meant to happen: tiers of this console's own on nodes, named as people name them.

use std::sync::Arc;

use console_api::TierState;
use id::{Name, NodeId};
use tenure::Tier;

use crate::api::{No, not_found};
use crate::node::session::read_journal;
use crate::records::{KnownNode, KnownTier};
use crate::state::Console;

/// A tier of the console's own, on a node.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) node: KnownNode,
    pub(crate) tier: KnownTier,
}

impl Place {
    pub(crate) const fn key(&self) -> crate::node::live::Place {
        (self.node.node, self.tier.tier)
    }

    /// The tier as the node's journal has it.
    pub(crate) async fn recorded(&self, console: &Console) -> Result<Tier, No> {
        let turns = console.turns(&self.node)?;
        let mirror = turns.mirror.lock().await;
        mirror.tenure.tier(self.tier.tier).cloned().ok_or_else(|| {
            not_found(format!("the journal of node {} was not read yet", self.node.name))
                .hint("it is read when the node dials")
        })
    }

    /// Reads the node's journal up to what was just ordered, and waits until it is on the medium: what is wanted on a
    /// node is known here whatever becomes of either.
    pub(crate) async fn kept(&self, console: &Console) -> Result<(), No> {
        let Some(link) = console.live.link(self.key()) else { return Ok(()) };
        read_journal(console, &self.node, &link).await?;
        Ok(console.turns(&self.node)?.mirror.lock().await.sync()?)
    }
}

impl Console {
    /// The tiers held by this console that are meant, the nodes' own left out: only realms have engines and volumes.
    /// `of` is a contract, a lease, a tier, or a tier's name.
    pub(crate) async fn held_places(
        self: &Arc<Self>,
        nodes: &[String],
        of: Option<&str>,
    ) -> Result<Vec<Place>, No> {
        let wanted: Vec<NodeId> =
            nodes.iter().map(|node| self.node(node).map(|node| node.node)).collect::<Result<_, _>>()?;
        let mut places = Vec::new();
        for node in self.nodes()? {
            if !wanted.is_empty() && !wanted.contains(&node.node) {
                continue;
            }
            let turns = self.turns(&node)?;
            let mirror = turns.mirror.lock().await;
            for tier in self.tiers_on(node.node)? {
                let is_root = mirror.tenure.root() == Some(tier.tier);
                let name = mirror.tenure.tier(tier.tier).map(|tier| &tier.name);
                if tier.state == TierState::Held && !is_root && of.is_none_or(|of| is_meant(&tier, name, of))
                {
                    places.push(Place { node: node.clone(), tier });
                }
            }
        }
        if places.is_empty() {
            return Err(not_found("this console holds no such tier on those nodes")
                .hint("`leasehold lease list` shows contracts, leases and tiers"));
        }
        Ok(places)
    }
}

fn is_meant(tier: &KnownTier, name: Option<&Name>, of: &str) -> bool {
    tier.contract.as_deref() == Some(of)
        || tier.lease.to_string() == of
        || tier.tier.to_string() == of
        || name.is_some_and(|name| name.as_str() == of)
}
