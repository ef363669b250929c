//! How nodes come to be known: strangers introduce themselves while a window is open, and a person compares
//! what they say with the node's own screen. A tier under renewal comes back as a stranger too, and is known by
//! the nonce that nobody but this console and the node has seen.

use std::sync::Arc;
use std::time::Duration;

use channel::Stranger as Dialler;
use console_api::{Check, Confirm, Enrolment, OpenWindow, Stranger, TierState, Trust};
use id::Name;
use keys::{NodeRecord as _, Statement};
use store::Transaction;

use super::live::Introduced;
use crate::api::{No, not_found, refused, usage};
use crate::records::{self, KnownNode, KnownTier, node_key, tier_key, value};
use crate::state::Console;
use crate::statement::{Expect, Expected, check, told};

/// Strangers who may be connected at once, each for one question.
const STRANGERS_AT_ONCE: usize = 8;

/// The most minutes that a window is open.
const MINUTES_MAX: u16 = 1440;

impl Console {
    /// Opens or closes the channel's door for strangers, as it should be now.
    pub(crate) fn mind_the_window(&self) -> Result<(), No> {
        let renewing = self.tiers()?.iter().any(|read| read.value.state == TierState::Renewing);
        if renewing || self.live.window().is_some() || self.awaits_standbys()? {
            self.pins.open_window(STRANGERS_AT_ONCE);
        } else {
            self.pins.close_window();
        }
        Ok(())
    }

    /// Opens the window for people's nodes.
    pub(crate) fn enrol(self: &Arc<Self>, wanted: OpenWindow) -> Result<Enrolment, No> {
        if !(1..=MINUTES_MAX).contains(&wanted.minutes) {
            return Err(usage(format!("a window is open for 1 to {MINUTES_MAX} minutes")));
        }
        let span = Duration::from_secs(60 * u64::from(wanted.minutes));
        self.live.open_window(self.world.now().plus(span), span);
        self.mind_the_window()?;
        let console = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            // A newer window may be open still; the console may be gone.
            drop(console.upgrade().map(|console| console.mind_the_window()));
        });
        Ok(self.enrolment())
    }

    pub(crate) fn enrolment(&self) -> Enrolment {
        Enrolment {
            open_until: self.live.window().map(|(until, _)| until),
            strangers: self.live.strangers().into_iter().map(|stranger| stranger.shown).collect(),
        }
    }

    pub(crate) fn close_enrolment(&self) -> Result<Enrolment, No> {
        self.live.close_window();
        self.mind_the_window()?;
        Ok(self.enrolment())
    }

    /// A person says that the stranger is the node whose screen shows this fingerprint.
    pub(crate) async fn confirm(&self, confirm: &Confirm) -> Result<KnownNode, No> {
        let name: Name =
            confirm.name.parse().map_err(|malformed: id::Malformed| usage(malformed.to_string()))?;
        let strangers = self.live.strangers();
        let newest = strangers
            .into_iter()
            .filter(|stranger| stranger.shown.node == confirm.node)
            .max_by_key(|stranger| (stranger.shown.epoch, stranger.shown.at));
        let stranger = newest.ok_or_else(|| {
            not_found(format!("no stranger says that it is node {}", confirm.node))
                .hint("`leasehold node enrol` opens the window; `leasehold node strangers` lists who came")
        })?;
        if let Some(fault) = &stranger.shown.fault {
            return Err(refused("statement-refused", format!("the node's statement does not hold: {fault}")));
        }
        let statement = Statement::verify(stranger.envelope.as_bytes(), None)
            .map_err(|invalid| refused("statement-refused", told(&invalid)))?;
        let node = KnownNode {
            node: statement.node,
            node_key: statement.node_key,
            name,
            trust: Trust::Confirmed,
            at: self.world.now(),
        };
        // A root has no boundary from above. Any other tier was leased by somebody who may know its identity:
        // it is held once that is made anew, however the node came to be known.
        let leased = statement.boundary.is_some();
        let tier = KnownTier {
            node: statement.node,
            tier: statement.tier,
            lease: statement.lease,
            contract: None,
            terms: None,
            epoch: statement.epoch,
            identity: stranger.shown.identity,
            state: if leased { TierState::Taking } else { TierState::Held },
            nonce: None,
            boundary: statement.boundary,
            directory: statement.directory,
            statement: stranger.envelope.clone(),
            erase_below: false,
        };
        self.introduce_node(&node, &tier).await?;
        self.live.confirmed(&tier.identity);
        self.pin(tier.identity, (tier.node, tier.tier));
        Ok(node)
    }

    /// Writes down a node with a tier on it. What is known of the node already must not be contradicted.
    pub(crate) async fn introduce_node(&self, node: &KnownNode, tier: &KnownTier) -> Result<(), No> {
        let (at_node, at_tier) = (node_key(node.node), tier_key(tier.node, tier.tier));
        let (known, before) =
            (records::get::<KnownNode>(self.store(), &at_node)?, self.tier((tier.node, tier.tier))?);
        let others = self.nodes()?;
        if others.iter().any(|other| other.name == node.name && other.node != node.node) {
            return Err(refused("name-taken", format!("another node is called {}", node.name))
                .hint("choose another name"));
        }
        let mut node = node.clone();
        if known.as_ref().is_some_and(|known| known.value.trust == Trust::Confirmed) {
            // A person's word is not taken back by a grantor's.
            node.trust = Trust::Confirmed;
        }
        let transaction = Transaction::new()
            .expect(&at_node, known.as_ref().map(|read| &read.entry))
            .expect(&at_tier, before.as_ref().map(|read| &read.entry))
            .put(&at_node, value(&node))
            .put(&at_tier, value(tier));
        self.commit(transaction).await?;
        if let Some(before) = before.filter(|before| before.value.identity != tier.identity) {
            self.unpin(&before.value.identity);
        }
        Ok(())
    }
}

/// Somebody unknown dialled, and is asked what its node says that it is.
pub(crate) async fn introduce(console: Arc<Console>, dialler: Dialler) {
    let (identity, from) = (dialler.identity(), dialler.from());
    let lines = match dialler.statements().await {
        Ok(lines) => lines,
        Err(failed) => {
            return console.tell_of_stranger(&format!("a stranger from {from}: {}", told(&failed)));
        }
    };
    // The newest that names the identity that was shown.
    let mut newest: Option<(Statement, &[u8])> = None;
    for line in lines.split(|byte| *byte == b'\n') {
        let Ok(statement) = Statement::verify(line, None) else { continue };
        let newer = newest
            .as_ref()
            .is_none_or(|(other, _)| (statement.epoch, statement.at) >= (other.epoch, other.at));
        if statement.identity == Some(identity) && newer {
            newest = Some((statement, line));
        }
    }
    let Some((statement, envelope)) = newest else {
        return console.tell_of_stranger(&format!("a stranger from {from} has no statement about itself"));
    };
    let place = (statement.node, statement.tier);
    let envelope = String::from_utf8_lossy(envelope).into_owned();
    match console.tier(place) {
        Ok(Some(read)) if read.value.state == TierState::Renewing => {
            match crate::lease::renewal::complete(&console, read, identity, &envelope).await {
                Ok(()) => console.tell(place, "renewed: the new identity is this console's alone"),
                Err(no) => console.tell_of_stranger(&format!(
                    "node {}, tier {}, from {from}: the renewal's statement: {}",
                    statement.node, statement.tier, no.0.message
                )),
            }
        }
        Ok(None) if console.standby(statement.node).is_ok_and(|standby| standby.is_some()) => {
            let Ok(Some(standby)) = console.standby(statement.node) else { return };
            match crate::lease::standby::take(&console, &standby, &statement, identity, &envelope).await {
                Ok(()) => console.tell(place, "it stood by, and has a place now"),
                Err(no) => {
                    let told = format!("a node that stands by, from {from}: {}", no.0.message);
                    console.world.tell(&told);
                }
            }
        }
        Ok(_) if console.live.window().is_some() => {
            let fault = fault(&console, &statement, identity, &envelope);
            let shown = Stranger {
                node: statement.node,
                identity,
                tier: statement.tier,
                epoch: statement.epoch,
                from: from.to_string(),
                at: console.world.now(),
                fault,
            };
            console
                .tell_of_stranger(&format!("a stranger from {from} says that it is node {}", statement.node));
            console.live.introduced(identity, Introduced { shown, envelope });
        }
        Ok(_) => {}
        Err(no) => console.tell(place, &no.0.message),
    }
}

/// What would keep a person's word from helping: the node obeys others than this console, or has another key
/// than before.
fn fault(
    console: &Console,
    statement: &Statement,
    identity: id::PublicKey,
    envelope: &str,
) -> Option<String> {
    let expected = Expected {
        node: statement.node,
        node_key: None,
        controllers: console.controller_keys(),
        tier: statement.tier,
        lease: statement.lease,
        epoch: Expect::Any,
        boundary: Expect::Any,
        directory: Expect::Any,
        nonce: statement.nonce,
        not_identity: None,
        identity: Some(identity),
    };
    let checked = check(envelope.as_bytes(), &expected);
    checked.fault().map(|Check { check, found, .. }| format!("{check}: {found}"))
}
