//! What a running console has: its folder's content, its links, what it learnt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use channel::Pins;
use console_api::{Exit, TierState};
use id::{NodeId, PublicKey, TierId};
use store::{Revision, Store, Transaction};
use tenure::{ControllerKey, Rights};
use tokio::sync::Mutex as Turn;

use crate::api::{No, not_found, usage};
use crate::dhcp::Office;
use crate::folder::Opened;
use crate::node::live::{Live, Place};
use crate::node::mirror::Mirror;
use crate::node::strangers::Lines;
use crate::records::{self, KnownNode, KnownTier, Read};
use crate::{Failed, World};

/// The console, shared by everything that serves.
pub(crate) struct Console {
    pub(crate) opened: Arc<Opened>,
    pub(crate) world: World,
    /// Who is let in at the channel's door.
    pub(crate) pins: Pins,
    pub(crate) live: Live,
    pub(crate) strangers: Lines,
    /// The DHCP server, if this console is one.
    pub(crate) dhcp: Option<Office>,
    /// The desk where trouble comes together.
    pub(crate) incidents: crate::incident::Office,
    /// What waits to be told to people.
    pub(crate) post: crate::notify::Post,
    /// Whose identity is whose.
    places: Mutex<BTreeMap<PublicKey, Place>>,
    /// The turn in which addresses are given out, and the directory is written.
    pub(crate) addressing: Turn<()>,
    /// Nodes that stand by take places one after the other.
    pub(crate) standing_by: Turn<()>,
    /// The turn in which the audit trail grows.
    pub(crate) auditing: Turn<()>,
    /// How often people were refused of late.
    pub(crate) refusals: Mutex<crate::people::audit::Refusals>,
    /// One turn a node: its journal is read, and orders to it are numbered and sent, one after the other.
    nodes: Mutex<BTreeMap<NodeId, Arc<NodeTurns>>>,
    /// The first half of every request's id: another one at each start.
    started: String,
    requests: AtomicU64,
}

/// What is done one after the other for a node.
pub(crate) struct NodeTurns {
    /// Held for as long as one looks or writes, never while a node is waited for.
    pub(crate) mirror: Turn<Mirror>,
    /// Who has it reads the journal.
    pub(crate) reading: Turn<()>,
    pub(crate) orders: Turn<()>,
}

impl Console {
    pub(crate) fn new(opened: Opened, world: World) -> Result<Arc<Self>, Failed> {
        let started = format!("{:x}", world.now().as_millis());
        let dhcp = Office::open(&opened, world)?;
        let post = crate::notify::Post::open(&*opened.store)
            .map_err(|no| Failed::act("read what waits to be delivered", no.0))?;
        let console = Self {
            dhcp,
            incidents: crate::incident::Office::new(),
            post,
            opened: Arc::new(opened),
            world,
            pins: Pins::new([]),
            live: Live::new(),
            strangers: Lines::default(),
            addressing: Turn::new(()),
            standing_by: Turn::new(()),
            auditing: Turn::new(()),
            refusals: Mutex::default(),
            places: Mutex::default(),
            nodes: Mutex::default(),
            started,
            requests: AtomicU64::new(0),
        };
        let tiers = console.tiers().map_err(|no| Failed::act("read the store", no.0))?;
        for tier in tiers.iter().map(|read| &read.value).filter(|tier| tier.state != TierState::Ended) {
            console.pin(tier.identity, (tier.node, tier.tier));
        }
        Ok(Arc::new(console))
    }

    /// A name for one request.
    pub(crate) fn request_id(&self) -> String {
        format!("{}-{}", self.started, self.requests.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.opened.store
    }

    /// Commits on a thread that may wait for the medium.
    pub(crate) async fn commit(&self, transaction: Transaction) -> Result<Revision, No> {
        let store = Arc::clone(&self.opened.store);
        let committed = tokio::task::spawn_blocking(move || store.commit(transaction)).await;
        let gone = |error| No::new("failed", Exit::Failed, format!("the store's thread ended: {error}"));
        Ok(committed.map_err(gone)??)
    }

    /// Whoever dials with this identity is this tier.
    pub(crate) fn pin(&self, identity: PublicKey, place: Place) {
        self.places().insert(identity, place);
        self.pins.insert(identity);
    }

    /// Nobody is any more; who is connected with it is cut off.
    pub(crate) fn unpin(&self, identity: &PublicKey) {
        self.places().remove(identity);
        self.pins.remove(identity);
    }

    pub(crate) fn place(&self, identity: &PublicKey) -> Option<Place> {
        self.places().get(identity).copied()
    }

    fn places(&self) -> std::sync::MutexGuard<'_, BTreeMap<PublicKey, Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turns of a node that is known.
    pub(crate) fn turns(&self, node: &KnownNode) -> Result<Arc<NodeTurns>, No> {
        let mut nodes = self.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turns) = nodes.get(&node.node) {
            return Ok(Arc::clone(turns));
        }
        let mirror = Mirror::open(&self.journals(), node.node, node.node_key)?;
        let turns =
            Arc::new(NodeTurns { mirror: Turn::new(mirror), reading: Turn::new(()), orders: Turn::new(()) });
        nodes.insert(node.node, Arc::clone(&turns));
        Ok(turns)
    }

    fn journals(&self) -> PathBuf {
        self.opened.path.join(crate::folder::JOURNALS)
    }

    /// All nodes, by their keys' ids.
    pub(crate) fn nodes(&self) -> Result<Vec<KnownNode>, No> {
        let nodes = records::all::<KnownNode>(self.store(), "node/")?;
        Ok(nodes.into_iter().map(|read| read.value).collect())
    }

    /// The node of that name or key id.
    pub(crate) fn node(&self, text: &str) -> Result<KnownNode, No> {
        let found = match text.parse::<NodeId>() {
            Ok(node) => {
                records::get::<KnownNode>(self.store(), &records::node_key(node))?.map(|read| read.value)
            }
            Err(_a_name) => self.nodes()?.into_iter().find(|node| node.name.as_str() == text),
        };
        let short: String = text.chars().take(80).collect();
        found.ok_or_else(|| {
            not_found(format!("there is no node {short:?}")).hint("`leasehold node list` shows all")
        })
    }

    /// What it is called here.
    pub(crate) fn node_name(&self, node: NodeId) -> String {
        self.node(&node.to_string()).map_or_else(|_unknown| node.to_string(), |node| node.name.to_string())
    }

    /// Whose cluster a node is in: the name of the first tier that this console granted there, or its own.
    pub(crate) fn cluster_of(&self, node: NodeId) -> Option<id::Name> {
        let granted = records::all::<records::GrantedLease>(self.store(), &format!("grant/{node}/")).ok()?;
        let mut granted = granted.into_iter().map(|read| read.value).filter(|lease| lease.severed.is_none());
        granted.next().map(|lease| lease.name).or_else(|| {
            let node = self.node(&node.to_string()).ok()?;
            let held = self.tiers_on(node.node).ok()?;
            let turns = self.turns(&node).ok()?;
            // Whoever is reading the journal just now shall not be waited for.
            let mirror = turns.mirror.try_lock().ok()?;
            let below = held.iter().find(|tier| mirror.tenure.root() != Some(tier.tier))?;
            mirror.tenure.tier(below.tier).map(|tier| tier.name.clone())
        })
    }

    /// All tiers that this console holds or held.
    pub(crate) fn tiers(&self) -> Result<Vec<Read<KnownTier>>, No> {
        records::all(self.store(), "tier/")
    }

    pub(crate) fn tiers_on(&self, node: NodeId) -> Result<Vec<KnownTier>, No> {
        let tiers = records::all::<KnownTier>(self.store(), &format!("tier/{node}/"))?;
        Ok(tiers.into_iter().map(|read| read.value).collect())
    }

    pub(crate) fn tier(&self, place: Place) -> Result<Option<Read<KnownTier>>, No> {
        records::get(self.store(), &records::tier_key(place.0, place.1))
    }

    /// The tier by which this console acts on a node: the one named, or the only one.
    pub(crate) fn acting(&self, node: &KnownNode, tier: Option<TierId>) -> Result<KnownTier, No> {
        let mut held: Vec<_> =
            self.tiers_on(node.node)?.into_iter().filter(|known| known.state != TierState::Ended).collect();
        if let Some(tier) = tier {
            held.retain(|known| known.tier == tier);
        }
        match (held.pop(), held.is_empty()) {
            (Some(tier), true) => Ok(tier),
            (None, _) => Err(not_found(format!("this console holds no such tier on node {}", node.name))),
            (Some(_), false) => Err(usage(format!("this console holds several tiers on node {}", node.name))
                .hint("name one with --tier")),
        }
    }

    /// All controller keys of this party: the one that the console holds, and those that it does not.
    pub(crate) fn controllers(&self) -> Vec<ControllerKey> {
        let held = ControllerKey { key: *self.opened.keys.controller.public(), rights: Rights::ALL };
        std::iter::once(held).chain(self.opened.settings.controller.iter().copied()).collect()
    }

    /// Their public keys.
    pub(crate) fn controller_keys(&self) -> Vec<PublicKey> {
        self.controllers().into_iter().map(|controller| controller.key).collect()
    }
}
