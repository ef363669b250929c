//! The watch over a console's nodes: who is heard when, who is probed, and what follows for the desk. All of it in
//! memory: what ticks is never written.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use console_api::TierState;
use id::{Name, NodeId};
use incident::{Event, Health, Kind, Moment, Sign, Subject, Symptom, Timing, Verdict, Watch};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::MissedTickBehavior;

use super::engines::Seen;
use super::probe;
use crate::node::live::{Place, Pulse};
use crate::state::Console;

/// How often the watch turns.
const TURN: Duration = Duration::from_millis(100);

/// How often it is asked anew whom this console watches.
const FOLLOW: Duration = Duration::from_secs(1);

/// How often a suspect is probed, and one about whom there is time.
const HARD: Duration = Duration::from_millis(125);
const SOFT: Duration = Duration::from_secs(1);

/// What the watch remembers of a node.
#[derive(Debug, Default)]
struct Node {
    heard: Option<Instant>,
    /// Where it dialled from last.
    address: Option<IpAddr>,
    connected: BTreeSet<Place>,
    probed: Option<Instant>,
    /// Of each of its tiers that this console holds: what one says tells nothing of another's.
    engines: BTreeMap<(Place, Name), Seen>,
    /// Whose engines were looked at: whichever is seen there for the first time from now on is a new one.
    looked_at: BTreeSet<Place>,
}

/// Runs for as long as the console does.
pub(crate) async fn follow(console: Arc<Console>) -> Infallible {
    let (answer, answers) = unbounded_channel();
    let mut round = Round {
        began: Instant::now(),
        watch: Watch::new(Timing::default()),
        nodes: BTreeMap::new(),
        followed: None,
        doubts: false,
        answer,
        answers,
        console,
    };
    // A doubt of before the start is to come anew.
    round.doubt();
    let mut turns = tokio::time::interval(TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        round.turn();
    }
}

struct Round {
    console: Arc<Console>,
    began: Instant,
    watch: Watch,
    nodes: BTreeMap<NodeId, Node>,
    followed: Option<Instant>,
    doubts: bool,
    answer: UnboundedSender<(NodeId, Sign)>,
    answers: UnboundedReceiver<(NodeId, Sign)>,
}

impl Round {
    fn moment(&self, at: Instant) -> Moment {
        let since = at.saturating_duration_since(self.began).as_millis();
        Moment(u64::try_from(since).unwrap_or(u64::MAX))
    }

    fn turn(&mut self) {
        let now = Instant::now();
        if self.followed.is_none_or(|at| now.duration_since(at) >= FOLLOW) {
            self.followed = Some(now);
            self.choose(now);
        }
        for pulse in self.console.live.pulses() {
            self.hear(pulse, now);
        }
        while let Ok((node, sign)) = self.answers.try_recv() {
            self.watch.hear(node, sign, self.moment(now));
        }
        let verdicts = self.watch.turn(self.moment(now));
        if self.doubts != self.watch.doubts() {
            self.doubts = self.watch.doubts();
            self.doubt();
        }
        for verdict in verdicts {
            self.judge(verdict);
        }
        self.probe(now);
    }

    /// Everybody whose tier this console holds is watched.
    fn choose(&mut self, now: Instant) {
        // A store that fails says so to whoever asks it for something; the watch goes on over those it knows.
        let Ok(tiers) = self.console.tiers() else { return };
        let held = tiers.iter().map(|read| &read.value).filter(|tier| tier.state == TierState::Held);
        let held: BTreeSet<NodeId> = held.map(|tier| tier.node).collect();
        self.nodes.retain(|node, _| held.contains(node));
        for node in &held {
            self.nodes.entry(*node).or_default();
        }
        self.watch.follow(held, self.moment(now));
    }

    fn hear(&mut self, Pulse { place, heard, from }: Pulse, now: Instant) {
        let at = self.moment(heard);
        let moment = self.moment(now);
        let Some(node) = self.nodes.get_mut(&place.0) else { return };
        if let Some(from) = from {
            node.address = Some(from);
            node.connected.insert(place);
        } else if node.connected.remove(&place) && node.connected.is_empty() {
            self.watch.hear(place.0, Sign::Ended, moment);
        }
        if node.heard.is_none_or(|before| heard > before) {
            node.heard = Some(heard);
            // What came before a connection ended is no sign that it did not.
            if from.is_some() {
                self.watch.hear(place.0, Sign::Pulse, at);
            }
            self.look_at_engines(place);
        }
    }

    fn look_at_engines(&mut self, place: Place) {
        let Some(node) = self.nodes.get_mut(&place.0) else { return };
        // On a new connection the first status may not be there yet: that says nothing of any engine.
        let Some(now) = self.console.live.engines(place) else { return };
        let subject = |engine: &Name| Subject::Engine { node: place.0, engine: engine.clone() };
        let is_gone =
            |(whose, name): &&(Place, Name)| *whose == place && now.iter().all(|engine| engine.name != *name);
        let gone: Vec<(Place, Name)> = node.engines.keys().filter(is_gone).cloned().collect();
        for gone in gone {
            for kind in node.engines.remove(&gone).map_or_else(Vec::new, Seen::gone) {
                self.console.incidents.say(Event::Cleared { subject: subject(&gone.1), kind });
            }
        }
        let is_new = node.looked_at.contains(&place);
        for engine in now {
            let seen =
                node.engines.entry((place, engine.name.clone())).or_insert_with(|| Seen::first(is_new));
            let news = seen.look(&engine);
            if let Some((kind, detail)) = news.symptom {
                let cluster = self.console.cluster_of(place.0);
                let at = self.console.world.now();
                let symptom = Symptom { subject: subject(&engine.name), kind, detail, cluster, at };
                self.console.incidents.say(Event::Symptom(symptom));
            }
            for kind in news.cleared {
                self.console.incidents.say(Event::Cleared { subject: subject(&engine.name), kind });
            }
        }
        node.looked_at.insert(place);
    }

    fn doubt(&self) {
        self.console.incidents.say(Event::Doubt(self.doubts));
        let (subject, kind) = (Subject::Console, Kind::ConsoleInDoubt);
        self.console.incidents.say(if self.doubts {
            let detail = "many nodes are silent at once: the fault may be this console's, or its network's";
            let at = self.console.world.now();
            Event::Symptom(Symptom { subject, kind, detail: detail.to_owned(), cluster: None, at })
        } else {
            Event::Cleared { subject, kind }
        });
    }

    fn judge(&self, verdict: Verdict) {
        let name = self.console.node_name(verdict.node);
        self.console.world.tell(&format!("node {name} is {:?}", verdict.now));
        let subject = Subject::Node(verdict.node);
        // A suspicion takes nothing back; only what follows from it does.
        let undecided = matches!(verdict.now, Health::Suspect | Health::Quiet);
        if let Some((kind, detail)) = trouble(verdict.now) {
            let at = self.console.world.now();
            let cluster = self.console.cluster_of(verdict.node);
            let symptom = Symptom { subject: subject.clone(), kind, detail: detail.to_owned(), cluster, at };
            self.console.incidents.say(Event::Symptom(symptom));
        }
        if !undecided {
            let now = trouble(verdict.now).map(|(kind, _)| kind);
            let others = [Kind::MonitorHung, Kind::Unreachable, Kind::NodeDead];
            for kind in others.into_iter().filter(|kind| Some(*kind) != now) {
                self.console.incidents.say(Event::Cleared { subject: subject.clone(), kind });
            }
        }
    }

    fn probe(&mut self, now: Instant) {
        for (id, hard) in self.watch.probed() {
            let Some(node) = self.nodes.get_mut(&id) else { continue };
            let pause = if hard { HARD } else { SOFT };
            if node.probed.is_some_and(|at| now.duration_since(at) < pause) {
                continue;
            }
            node.probed = Some(now);
            let link = node.connected.first().and_then(|place| self.console.live.link(*place));
            let (address, answer) = (node.address, self.answer.clone());
            tokio::spawn(async move {
                if let Some(sign) = probe::probe(link, address).await {
                    // The watch ends with the console.
                    answer.send((id, sign)).unwrap_or_default();
                }
            });
        }
    }
}

/// What is wrong with a node of that health.
const fn trouble(health: Health) -> Option<(Kind, &'static str)> {
    match health {
        Health::Awaited | Health::Alive | Health::Suspect | Health::Quiet => None,
        Health::Hung => Some((Kind::MonitorHung, "the machine answers, its monitor does not")),
        Health::Dead => Some((Kind::NodeDead, "no pulse, and no answer to any probe")),
        Health::Unreachable => {
            Some((Kind::Unreachable, "no word of it; that may be this console's own fault"))
        }
    }
}
