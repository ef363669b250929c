//! What is said of an incident: one text for people, one body for programs.

use std::fmt::Write as _;

use id::{NodeId, Time};
use incident::{Happened, Incident, NoticeKind, Severity, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest line that comes from outside.
const LINE_CHARS_MAX: usize = 400;

/// A message, as it goes to whoever is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Its own id: the same however often it is sent.
    pub id: String,
    /// What all messages about one incident have in common.
    pub thread: String,
    /// When it was composed.
    pub at: Time,
    /// For a mail's head, or a pager.
    pub subject: String,
    /// For people.
    pub text: String,
    /// For programs.
    pub body: Value,
}

/// What a page says beside the incident itself.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// The console's party.
    pub party: &'a str,
    /// What nodes are called.
    pub name_of: &'a dyn Fn(NodeId) -> String,
    /// Why people are told.
    pub kind: NoticeKind,
}

impl Message {
    /// Of an incident. `id` is random.
    #[must_use]
    pub fn page(id: String, page: Page<'_>, incident: &Incident, at: Time) -> Self {
        let Page { party, name_of, kind } = page;
        let severity = match incident.severity() {
            Severity::Warning => "warning",
            Severity::Critical => "CRITICAL",
        };
        let about = about(&incident.subject, name_of);
        let state = match kind {
            NoticeKind::Opened => "",
            NoticeKind::NeedsPerson => ", a person is needed",
            NoticeKind::Reopened => ", open again",
            NoticeKind::Resolved => ", resolved",
        };
        let word = if kind == NoticeKind::Resolved { "resolved" } else { severity };
        let thread = format!("{}.{}.{party}", incident.number, incident.opened.as_millis());
        Self {
            id,
            at,
            subject: format!("[{word}] {} {about}: {}{state} ({party})", incident.number, incident.cause),
            text: text(incident, party, &about, name_of),
            body: json!({
                "type": format!("incident.{}", word_of(kind)),
                "timestamp": at,
                "data": {
                    "party": party,
                    "dedup_key": thread,
                    "action": if kind == NoticeKind::Resolved { "resolve" } else { "trigger" },
                    "severity": incident.severity(),
                    "about": about,
                    "incident": incident,
                },
            }),
            thread,
        }
    }

    /// A test: whoever gets it needs to do nothing.
    #[must_use]
    pub fn test(id: String, party: &str, at: Time) -> Self {
        Self {
            subject: format!("[test] notifications of {party} reach you"),
            text: format!("This is a test from the console of {party}, sent {at}. Nothing is wrong.\n"),
            body: json!({ "type": "test", "timestamp": at, "data": { "party": party } }),
            thread: format!("test.{party}"),
            id,
            at,
        }
    }

    pub(crate) fn webhook_body(&self) -> String {
        self.body.to_string()
    }
}

/// Who has the trouble, in the words that people use.
fn about(subject: &Subject, name_of: &dyn Fn(NodeId) -> String) -> String {
    match subject {
        Subject::Node(node) => format!("node {}", name_of(*node)),
        Subject::Engine { node, engine } => format!("engine {engine} on {}", name_of(*node)),
        Subject::Receiver(name) => format!("receiver {name}"),
        Subject::Console => "console".to_owned(),
    }
}

fn text(incident: &Incident, party: &str, about: &str, name_of: &dyn Fn(NodeId) -> String) -> String {
    let mut text = String::new();
    let cause = incident.cause_seen().map(|seen| one_line(&seen.symptom.detail)).unwrap_or_default();
    let mut line = |line: std::fmt::Arguments<'_>| {
        // A text that grows in memory does not fail.
        writeln!(text, "{line}").unwrap_or_default();
    };
    line(format_args!("{} at {party}, since {}", incident.number, incident.opened));
    line(format_args!("about    {about}"));
    line(format_args!("cause    {}: {cause}", incident.cause));
    for seen in incident.hidden().take(10) {
        let symptom = &seen.symptom;
        line(format_args!(
            "also     {}: {}: {}",
            self::about(&symptom.subject, name_of),
            symptom.kind,
            one_line(&symptom.detail)
        ));
    }
    for entry in &incident.timeline {
        match &entry.what {
            Happened::Began { remedy, .. } => line(format_args!("tried    {} {remedy}", entry.at)),
            Happened::Done { remedy, told } => {
                line(format_args!("         {} {remedy}: done: {}", entry.at, one_line(told)));
            }
            Happened::Failed { remedy, told } => {
                line(format_args!("         {} {remedy}: failed: {}", entry.at, one_line(told)));
            }
            Happened::NeedsPerson => line(format_args!("         {} a person is needed", entry.at)),
            Happened::Resolved => line(format_args!("resolved {}", entry.at)),
            Happened::Came { .. }
            | Happened::Went { .. }
            | Happened::Told { .. }
            | Happened::Acknowledged { .. }
            | Happened::Reopened
            | Happened::PartOf(_) => {}
        }
    }
    line(format_args!("\nleasehold incident show {}", incident.number));
    line(format_args!("leasehold incident ack {} -m \"…\"", incident.number));
    text
}

/// What came from outside, as one line that moves no cursor.
pub(crate) fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LINE_CHARS_MAX).map(shown).collect()
}

const fn word_of(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Opened => "opened",
        NoticeKind::NeedsPerson => "needs-person",
        NoticeKind::Reopened => "reopened",
        NoticeKind::Resolved => "resolved",
    }
}
