//! What happens with nodes that dial: those that are known are listened to, strangers are asked who they are.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use channel::{Accepted, CallFailed, Limits, Link, Listener, NotSetUp, Sign, SignFailed};
use console_api::Exit;
use id::PublicKey;
use keys::SigningKey;
use node_protocol::call::{Answer, Call, code};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::live::Place;
use super::mirror::Broken;
use crate::Failed;
use crate::api::No;
use crate::folder::Opened;
use crate::records::KnownNode;
use crate::state::Console;
use crate::statement::told;

/// How long a status may be late before the stream is taken for dead and asked for anew.
const STATUS_PATIENCE: Duration = Duration::from_secs(30);

/// The door of the channel.
pub(crate) struct Gate {
    listener: TcpListener,
    address: SocketAddr,
}

/// The channel key, for the one thing that it signs.
#[derive(Debug)]
struct ChannelKey(Arc<Opened>);

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opened({})", self.path.display())
    }
}

impl Sign for ChannelKey {
    fn public(&self) -> PublicKey {
        *self.key().public()
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignFailed> {
        Ok(*self.key().sign(message).as_bytes())
    }
}

impl ChannelKey {
    fn key(&self) -> &SigningKey {
        &self.0.keys.channel
    }
}

impl Gate {
    pub(crate) async fn open(opened: &Opened) -> Result<Self, Failed> {
        let address = opened.settings.listen;
        let failed = |error| Failed::act(format!("listen for nodes at {address}"), error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where nodes dial.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nodes in for as long as it is polled.
    pub(crate) async fn serve(self, console: Arc<Console>) -> Result<Infallible, NotSetUp> {
        let key = Arc::new(ChannelKey(Arc::clone(&console.opened)));
        let mut listener = Listener::new(self.listener, key, console.pins.clone(), Limits::default())?;
        // Whoever was let in goes when the door does.
        let mut inside = JoinSet::new();
        loop {
            match listener.accept().await {
                Accepted::Pinned(link) => inside.spawn(attend(Arc::clone(&console), link)),
                Accepted::Stranger(stranger) => {
                    inside.spawn(super::enrolment::introduce(Arc::clone(&console), stranger))
                }
            };
            while inside.try_join_next().is_some() {}
        }
    }
}

/// A courier that is known, from its first word to its last.
async fn attend(console: Arc<Console>, link: Link) {
    let Some(place) = console.place(&link.identity()) else { return link.close() };
    let link = Arc::new(link);
    console.live.connected(place, Arc::clone(&link), console.world.now());
    console.tell(place, "connected");
    if let Err(no) = listen(&console, place, &link).await {
        console.tell(place, &no.0.message);
    }
    link.close();
    console.live.disconnected(place, &link);
    console.tell(place, "disconnected");
}

async fn listen(console: &Arc<Console>, place: Place, link: &Arc<Link>) -> Result<(), No> {
    let node = console.node(&place.0.to_string())?;
    read_journal(console, &node, link).await?;
    let chores = super::chores::after_connecting(console, &node, place);
    tokio::select! {
        never = chores => match never {},
        listened = follow(console, &node, place, link) => listened,
    }
}

async fn follow(console: &Arc<Console>, node: &KnownNode, place: Place, link: &Arc<Link>) -> Result<(), No> {
    let mut statuses = link.status().await.map_err(call_failed)?;
    loop {
        let next = tokio::select! {
            next = tokio::time::timeout(STATUS_PATIENCE, statuses.next()) => next,
            () = link.closed() => return Ok(()),
        };
        match next {
            Ok(Ok(Some(status))) => {
                let record = status.record;
                console.live.heard(place, status, console.world.now());
                if record > console.turns(node)?.mirror.lock().await.record() {
                    read_journal(console, node, link).await?;
                }
            }
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(failed)) => return Err(call_failed(failed)),
            Err(_late) => return Err(No::new("timed-out", Exit::TimedOut, "the node says nothing any more")),
        }
    }
}

/// Reads what the journal has got since. What does not hold is told, and is not believed.
pub(crate) async fn read_journal(console: &Console, node: &KnownNode, link: &Link) -> Result<(), No> {
    let turns = console.turns(node)?;
    let _turn = turns.reading.lock().await;
    let mut begun_anew = false;
    loop {
        let from = turns.mirror.lock().await.wanted();
        // A node that takes its time keeps nobody from what is known.
        match link.call(&Call::ReadJournal { from }, &[]).await.map_err(call_failed)? {
            (Answer::Lines { newest, head, .. }, lines) => {
                let mut mirror = turns.mirror.lock().await;
                if newest < mirror.seen() {
                    let told = format!("the journal of node {} is shorter than it was", node.name);
                    return Err(No::new("journal-broken", Exit::Failed, told));
                }
                mirror.extend(&lines)?.map_err(|broken| journal_broken(node, &broken))?;
                if let Some(head) = head {
                    mirror.vouch(&head).map_err(|broken| journal_broken(node, &broken))?;
                }
                if lines.is_empty() || mirror.record() >= newest {
                    break;
                }
            }
            // Older records are gone from the node: what there still is begins with a snapshot.
            (Answer::Refused(refused), _) if refused.code == code::NOT_FOUND && from != 0 && !begun_anew => {
                begun_anew = true;
                turns.mirror.lock().await.forget()?;
            }
            (Answer::Refused(refused), _) => return Err(No(Box::new(refused.into()))),
            (other, _) => return Err(not_understood(&other)),
        }
    }
    crate::order::settle(console, node.node, &turns.mirror).await?;
    console.live.happen();
    Ok(())
}

fn journal_broken(node: &KnownNode, broken: &Broken) -> No {
    let told = format!("the journal of node {}: {}", node.name, told(broken));
    No::new("journal-broken", Exit::Failed, told)
}

/// The node is not there, or does not speak.
pub(crate) fn call_failed(failed: CallFailed) -> No {
    let exit = match failed {
        CallFailed::Late => Exit::TimedOut,
        CallFailed::TooLong(_) | CallFailed::Ended(_) | CallFailed::NotUnderstood(_) => Exit::Failed,
    };
    No::new("node-unreachable", exit, told(&failed))
}

/// An answer to another question.
pub(crate) fn not_understood(answer: &Answer) -> No {
    let what = match answer {
        Answer::Accepted { .. } => "accepted",
        Answer::Stored { .. } => "stored",
        Answer::Lines { .. } => "lines",
        Answer::Status(_) => "status",
        Answer::Signed { .. } => "signed",
        Answer::Nonce { .. } => "nonce",
        Answer::Handed {} => "handed",
        Answer::Image(_) => "how far an image is",
        Answer::Output {} => "an engine's output",
        Answer::Explained(_) => "an explanation",
        Answer::Denials(_) => "denials",
        Answer::Passed(_) => "passed",
        Answer::Refused(_) => "refused",
    };
    No::new("not-understood", Exit::Failed, format!("the node answered {what:?}, which was not asked"))
}

impl Console {
    /// Tells who watches the console run what happened with a node.
    pub(crate) fn tell(&self, (node, tier): Place, what: &str) {
        let name = self.node_name(node);
        self.world.tell(&format!("node {name}, tier {tier}: {what}"));
    }
}
