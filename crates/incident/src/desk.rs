//! The desk: one incident for each cause, one remedy at a time on each node.

use std::collections::BTreeMap;
use std::time::Duration;

use id::{Name, NodeId, Time};
use serde::{Deserialize, Serialize};

use crate::incident::{Acknowledged, Fence, Happened, Incident, Number, Phase, Place};
use crate::ladder::{Ladder, Ladders, Remedy, Step};
use crate::symptom::{Kind, Subject, Symptom};

/// A remedy of which nothing is heard for so long has failed. What it may still do is fenced off.
const REMEDY_PATIENCE: Duration = Duration::from_secs(600);

/// What the desk is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A symptom is there. It may be said again and again; only news counts.
    Symptom(Symptom),
    /// A symptom is gone.
    Cleared {
        /// Of whom.
        subject: Subject,
        /// Which.
        kind: Kind,
    },
    /// Whether the console doubts itself.
    Doubt(bool),
    /// A remedy ended.
    Outcome {
        /// Under which fence.
        fence: Fence,
        /// On which node.
        node: NodeId,
        /// How.
        outcome: Outcome,
    },
    /// A person takes an incident over.
    Acknowledge {
        /// Which.
        number: Number,
        /// Who.
        by: String,
        /// In their words.
        message: Option<String>,
        /// For how long.
        for_ms: u64,
    },
    /// Time has passed.
    Turn,
}

/// How a remedy ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done. In words.
    Done(String),
    /// It was not, or nobody knows. In words.
    Failed(String),
}

/// A remedy that is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// For which incident.
    pub number: Number,
    /// On which node.
    pub node: NodeId,
    /// On which engine, where it is one's.
    pub engine: Option<Name>,
    /// What.
    pub remedy: Remedy,
    /// Under which fence: who acts under a lower one stops.
    pub fence: Fence,
}

/// Why people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    /// As the ladder says.
    Opened,
    /// The ladder is at its end, and it is not over.
    NeedsPerson,
    /// The time of the person who took it over is up.
    Reopened,
    /// It is over.
    Resolved,
}

/// People are to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Of what.
    pub incident: Incident,
    /// Why.
    pub kind: NoticeKind,
    /// Whom; empty: all receivers.
    pub to: Vec<Name>,
}

/// What the desk wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Write the incident down, as it stands now.
    Keep(Box<Incident>),
    /// Do this, once what was to be kept is on the medium.
    Remedy(Task),
    /// Tell people.
    Notify(Box<Notice>),
}

/// What a desk has to find again after a start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The incidents that are not resolved.
    pub open: Vec<Incident>,
    /// The highest number that was given.
    pub newest: u64,
    /// The highest fence of each node.
    pub fences: BTreeMap<NodeId, Fence>,
}

/// All open incidents of a console.
#[derive(Debug)]
pub struct Desk {
    ladders: Ladders,
    open: BTreeMap<Number, Incident>,
    newest: u64,
    fences: BTreeMap<NodeId, Fence>,
    /// Which remedy is under way on a node, and since when.
    busy: BTreeMap<NodeId, (Fence, Number, Time)>,
    doubts: bool,
    now: Time,
}

impl Desk {
    /// The desk of a console that starts. What was under way when it ended is done again, under a new fence:
    /// every remedy can be done twice.
    #[must_use]
    pub fn new(ladders: Ladders, kept: Kept) -> Self {
        let Kept { open, newest, fences } = kept;
        let again = open.into_iter().map(|mut incident| {
            if let Phase::Running { place, .. } = incident.phase {
                incident.phase = Phase::Ready(place);
            }
            (incident.number, incident)
        });
        Self {
            ladders,
            open: again.collect(),
            newest,
            fences,
            busy: BTreeMap::new(),
            doubts: false,
            now: Time::ZERO,
        }
    }

    /// From now on these ladders count; an incident whose ladder is gone gets another one, from its beginning.
    pub fn set_ladders(&mut self, ladders: Ladders) {
        self.ladders = ladders;
    }

    /// The ladders that count.
    #[must_use]
    pub const fn ladders(&self) -> &Ladders {
        &self.ladders
    }

    /// The incidents that are not resolved, by number.
    pub fn open(&self) -> impl Iterator<Item = &Incident> {
        self.open.values()
    }

    /// A fence for what a person does on a node; none while a remedy is under way there.
    pub fn take_fence(&mut self, node: NodeId) -> Option<Fence> {
        if self.busy.contains_key(&node) {
            return None;
        }
        let fence = self.fences.entry(node).or_default();
        fence.0 += 1;
        Some(*fence)
    }

    /// Tells the desk something. What it wants done is to be done in this order. The time never goes back.
    pub fn step(&mut self, event: Event, now: Time) -> Vec<Command> {
        self.now = self.now.max(now);
        let mut commands = Vec::new();
        match event {
            Event::Symptom(symptom) => self.symptom(symptom, &mut commands),
            Event::Cleared { subject, kind } => self.cleared(&subject, kind, &mut commands),
            Event::Doubt(doubts) => self.doubts = doubts,
            Event::Outcome { fence, node, outcome } => self.outcome(node, fence, outcome, &mut commands),
            Event::Acknowledge { number, by, message, for_ms } => {
                self.acknowledge(number, by, message, for_ms, &mut commands);
            }
            Event::Turn => {}
        }
        self.overdue(&mut commands);
        for number in self.open.keys().copied().collect::<Vec<_>>() {
            self.advance(number, &mut commands);
        }
        self.open.retain(|_, incident| !incident.is_resolved());
        commands
    }

    /// The incident of which a symptom is a part: that of the same subject, or of what explains it.
    fn part_of(&self, subject: &Subject, kind: Kind) -> Option<Number> {
        let explains = |incident: &Incident| {
            let of_its_node = incident.cause.explains_engines()
                && matches!(incident.subject, Subject::Node(_))
                && incident.subject.node() == subject.node();
            let of_the_console = incident.cause == Kind::ConsoleInDoubt && kind == Kind::Unreachable;
            (of_its_node || of_the_console) && !incident.is_clear()
        };
        // What explains comes first: of two pages there shall be one.
        let explaining = self.open.values().find(|incident| explains(incident));
        let same = || self.open.values().find(|incident| incident.subject == *subject);
        explaining.or_else(same).map(|incident| incident.number)
    }

    fn symptom(&mut self, symptom: Symptom, commands: &mut Vec<Command>) {
        let (subject, kind, cluster) = (symptom.subject.clone(), symptom.kind, symptom.cluster.clone());
        let now = self.now;
        let number = match self.part_of(&subject, kind) {
            Some(number) => number,
            None => self.make(&symptom),
        };
        let Some(incident) = self.open.get_mut(&number) else { return };
        if !incident.see(symptom, now) {
            return;
        }
        let graver = incident.subject == subject && kind > incident.cause;
        if graver {
            incident.cause = kind;
            incident.cluster = cluster.or(incident.cluster.take());
            let ladder = self.ladders.choose(kind, incident.cluster.as_ref());
            // Another ladder begins at its beginning; what is under way ends first.
            if incident.ladder.as_ref() != ladder.map(|ladder| &ladder.name) {
                incident.ladder = ladder.map(|ladder| ladder.name.clone());
                if !matches!(incident.phase, Phase::Running { .. }) {
                    incident.phase = Phase::Ready(Place::default());
                }
            }
        }
        if let Phase::Settling { place, .. } = incident.phase {
            incident.phase = match place {
                Some(place) => Phase::Ready(next(&self.ladders, incident.ladder.as_ref(), place)),
                None => Phase::Ready(Place::default()),
            };
        }
        let explains = incident.subject == subject && incident.cause == kind && !incident.is_clear();
        commands.push(keep(incident));
        if explains {
            self.fold(number, commands);
        }
    }

    /// Makes the incident of a symptom that is part of none.
    fn make(&mut self, symptom: &Symptom) -> Number {
        self.newest += 1;
        let number = Number(self.newest);
        let ladder = self.ladders.choose(symptom.kind, symptom.cluster.as_ref());
        let incident = Incident {
            number,
            subject: symptom.subject.clone(),
            cause: symptom.kind,
            cluster: symptom.cluster.clone(),
            opened: self.now,
            phase: Phase::Ready(Place::default()),
            ladder: ladder.map(|ladder| ladder.name.clone()),
            acknowledged: None,
            symptoms: Vec::new(),
            unlisted: 0,
            timeline: Vec::new(),
            left_out: 0,
            told: false,
        };
        self.open.insert(number, incident);
        number
    }

    /// What an incident now explains becomes a part of it.
    fn fold(&mut self, number: Number, commands: &mut Vec<Command>) {
        let Some(whole) = self.open.get(&number) else { return };
        let (cause, subject) = (whole.cause, whole.subject.clone());
        let is_part = |other: &Incident| {
            let engine = matches!(other.subject, Subject::Engine { .. })
                && cause.explains_engines()
                && other.subject.node() == subject.node();
            let silent = cause == Kind::ConsoleInDoubt && other.cause == Kind::Unreachable;
            other.number != number && !other.is_resolved() && (engine || silent)
        };
        let parts: Vec<_> =
            self.open.values().filter(|other| is_part(other)).map(|part| part.number).collect();
        let now = self.now;
        for part in parts {
            let Some(incident) = self.open.get_mut(&part) else { continue };
            incident.happened(now, Happened::PartOf(number));
            incident.phase = Phase::Resolved { at: now, part_of: Some(number) };
            let there = incident.symptoms.iter().filter(|seen| seen.cleared.is_none());
            let there: Vec<_> = there.map(|seen| seen.symptom.clone()).collect();
            commands.push(keep(incident));
            if let Some(whole) = self.open.get_mut(&number) {
                for symptom in there {
                    whole.see(symptom, now);
                }
                commands.push(keep(whole));
            }
        }
    }

    fn cleared(&mut self, subject: &Subject, kind: Kind, commands: &mut Vec<Command>) {
        let now = self.now;
        for incident in self.open.values_mut() {
            if !incident.clear(subject, kind, now) {
                continue;
            }
            // What the cause explained is gone with it; what is there still is said again.
            if incident.subject == *subject && kind == incident.cause && kind.explains_engines() {
                let engines = incident.symptoms.iter().filter(|seen| {
                    matches!(seen.symptom.subject, Subject::Engine { .. }) && seen.cleared.is_none()
                });
                let engines: Vec<_> =
                    engines.map(|seen| (seen.symptom.subject.clone(), seen.symptom.kind)).collect();
                for (subject, kind) in engines {
                    incident.clear(&subject, kind, now);
                }
            }
            commands.push(keep(incident));
        }
    }

    fn acknowledge(
        &mut self,
        number: Number,
        by: String,
        message: Option<String>,
        for_ms: u64,
        commands: &mut Vec<Command>,
    ) {
        let Some(incident) = self.open.get_mut(&number) else { return };
        let until = self.now.plus(Duration::from_millis(for_ms));
        let entry = Happened::Acknowledged { by: by.clone(), message: message.clone(), until };
        incident.happened(self.now, entry);
        incident.acknowledged = Some(Acknowledged { by, message, at: self.now, until });
        commands.push(keep(incident));
    }

    fn outcome(&mut self, node: NodeId, fence: Fence, outcome: Outcome, commands: &mut Vec<Command>) {
        // One that was given up says something too late: nothing hangs on it any more.
        if self.busy.get(&node).is_none_or(|(under_way, _, _)| *under_way != fence) {
            return;
        }
        let Some((_, number, _)) = self.busy.remove(&node) else { return };
        let Some(incident) = self.open.get_mut(&number) else { return };
        let Phase::Running { place, fence: running, .. } = incident.phase else { return };
        if running != fence {
            return;
        }
        let remedy = began(incident, fence);
        let ladder = incident.ladder.as_ref().and_then(|name| self.ladders.named(name));
        let done = matches!(outcome, Outcome::Done(_));
        incident.happened(
            self.now,
            match outcome {
                Outcome::Done(told) => Happened::Done { remedy, told },
                Outcome::Failed(told) => Happened::Failed { remedy, told },
            },
        );
        let step = ladder.and_then(|ladder| ladder.steps.get(place.step));
        incident.phase = match step {
            // The ladder became another one meanwhile, or is a graver cause's.
            None => Phase::Ready(Place::default()),
            Some(step) if step.remedy != remedy => Phase::Ready(Place::default()),
            // The service is elsewhere now; what is broken waits for hands.
            Some(_) if done && remedy == Remedy::ActivateSpare => Phase::Waiting,
            Some(step) if done => Phase::Watching { place, until: self.now.plus(step.wait()) },
            Some(_) => Phase::Ready(next(&self.ladders, incident.ladder.as_ref(), place)),
        };
        if incident.phase == Phase::Waiting {
            needs_person(incident, self.now, commands);
        }
        commands.push(keep(incident));
    }

    /// Gives up what was under way for too long.
    fn overdue(&mut self, commands: &mut Vec<Command>) {
        let late: Vec<_> = self
            .busy
            .iter()
            .filter(|(_, (_, _, since))| since.plus(REMEDY_PATIENCE) <= self.now)
            .map(|(node, (fence, _, _))| (*node, *fence))
            .collect();
        for (node, fence) in late {
            let told = "nothing was heard of it".to_owned();
            self.outcome(node, fence, Outcome::Failed(told), commands);
        }
    }

    /// Takes an incident as far as it goes now.
    fn advance(&mut self, number: Number, commands: &mut Vec<Command>) {
        let now = self.now;
        let (doubts, busy) = (self.doubts, &mut self.busy);
        let Some(incident) = self.open.get_mut(&number) else { return };
        if let Some(acknowledged) = &incident.acknowledged
            && acknowledged.until <= now
        {
            incident.acknowledged = None;
            incident.happened(now, Happened::Reopened);
            notify(incident, NoticeKind::Reopened, Vec::new(), now, commands);
            commands.push(keep(incident));
        }
        loop {
            let ladder = incident.ladder.as_ref().and_then(|name| self.ladders.named(name));
            let clear = incident.is_clear();
            let next_phase = match incident.phase {
                Phase::Resolved { .. } | Phase::Running { .. } => return,
                Phase::Settling { until, .. } if until <= now => {
                    incident.phase = Phase::Resolved { at: now, part_of: None };
                    incident.happened(now, Happened::Resolved);
                    if incident.told {
                        notify(incident, NoticeKind::Resolved, Vec::new(), now, commands);
                    }
                    commands.push(keep(incident));
                    return;
                }
                Phase::Settling { .. } => return,
                Phase::Ready(_) | Phase::Watching { .. } | Phase::Waiting if clear => {
                    let place = match incident.phase {
                        Phase::Watching { place, .. } => Some(place),
                        Phase::Waiting => ladder.map(|ladder| Place { step: ladder.steps.len(), attempt: 0 }),
                        // What was ready was not begun.
                        Phase::Ready(place) => {
                            place.step.checked_sub(1).map(|step| Place { step, attempt: u32::MAX })
                        }
                        Phase::Running { .. } | Phase::Settling { .. } | Phase::Resolved { .. } => None,
                    };
                    let settle = ladder.map_or(Duration::ZERO, Ladder::settle);
                    Phase::Settling { place, until: now.plus(settle) }
                }
                // A person has it: nothing is begun.
                Phase::Ready(_) | Phase::Watching { .. } | Phase::Waiting
                    if incident.acknowledged.is_some() =>
                {
                    return;
                }
                Phase::Waiting => return,
                Phase::Watching { until, .. } if until > now => return,
                Phase::Watching { place, .. } => {
                    Phase::Ready(next(&self.ladders, incident.ladder.as_ref(), place))
                }
                Phase::Ready(place) => match ladder.and_then(|ladder| ladder.steps.get(place.step)) {
                    None => {
                        needs_person(incident, now, commands);
                        Phase::Waiting
                    }
                    Some(Step { remedy: Remedy::Notify, to, .. }) => {
                        let step = ladder.and_then(|ladder| ladder.steps.get(place.step));
                        let wait = step.map_or(Duration::ZERO, Step::wait);
                        notify(incident, NoticeKind::Opened, to.clone(), now, commands);
                        Phase::Watching { place, until: now.plus(wait) }
                    }
                    Some(step) => {
                        // In doubt nothing is destroyed; of two remedies one waits for the other.
                        let Some(node) = incident.subject.node() else {
                            incident.phase = Phase::Ready(after(place));
                            continue;
                        };
                        if (step.remedy.destroys() && doubts) || busy.contains_key(&node) {
                            return;
                        }
                        let engine = match &incident.subject {
                            Subject::Engine { engine, .. } => Some(engine.clone()),
                            Subject::Node(_) | Subject::Receiver(_) | Subject::Console => None,
                        };
                        if step.remedy.is_of_engine() && engine.is_none() {
                            incident.phase = Phase::Ready(after(place));
                            continue;
                        }
                        let fence = self.fences.entry(node).or_default();
                        fence.0 += 1;
                        let (fence, remedy) = (*fence, step.remedy);
                        busy.insert(node, (fence, number, now));
                        incident.happened(now, Happened::Began { remedy, fence });
                        incident.phase = Phase::Running { place, fence, since: now };
                        commands.push(keep(incident));
                        commands.push(Command::Remedy(Task { number, node, engine, remedy, fence }));
                        return;
                    }
                },
            };
            incident.phase = next_phase;
            commands.push(keep(incident));
        }
    }
}

/// What comes after a step that was done: the same once more, or the next one.
fn next(ladders: &Ladders, ladder: Option<&Name>, place: Place) -> Place {
    let step = ladder.and_then(|name| ladders.named(name)).and_then(|ladder| ladder.steps.get(place.step));
    let attempt = place.attempt.saturating_add(1);
    match step {
        Some(step) if attempt < step.times => Place { attempt, ..place },
        Some(_) | None => after(place),
    }
}

const fn after(place: Place) -> Place {
    Place { step: place.step.saturating_add(1), attempt: 0 }
}

/// The remedy that was begun under a fence.
fn began(incident: &Incident, fence: Fence) -> Remedy {
    let found = incident.timeline.iter().rev().find_map(|entry| match &entry.what {
        Happened::Began { remedy, fence: of } if *of == fence => Some(*remedy),
        Happened::Began { .. }
        | Happened::Came { .. }
        | Happened::Went { .. }
        | Happened::Done { .. }
        | Happened::Failed { .. }
        | Happened::Told { .. }
        | Happened::Acknowledged { .. }
        | Happened::Reopened
        | Happened::NeedsPerson
        | Happened::Resolved
        | Happened::PartOf(_) => None,
    });
    found.unwrap_or(Remedy::Notify)
}

fn needs_person(incident: &mut Incident, now: Time, commands: &mut Vec<Command>) {
    incident.happened(now, Happened::NeedsPerson);
    // Who was told that it is there is told of this alone where something was tried in between.
    let tried = incident.timeline.iter().any(|entry| matches!(entry.what, Happened::Began { .. }));
    if tried || !incident.told {
        notify(incident, NoticeKind::NeedsPerson, Vec::new(), now, commands);
    }
}

fn notify(incident: &mut Incident, kind: NoticeKind, to: Vec<Name>, now: Time, commands: &mut Vec<Command>) {
    incident.happened(now, Happened::Told { to: to.clone() });
    incident.told = true;
    commands.push(Command::Notify(Box::new(Notice { incident: incident.clone(), kind, to })));
}

fn keep(incident: &Incident) -> Command {
    Command::Keep(Box::new(incident.clone()))
}

#[cfg(test)]
mod tests;
