//! The trail of what people did: on the medium before it is begun, with its outcome after.
//!
//! It is bounded: the oldest entries make room. Who is nobody here leaves no trace in it, so that strangers cannot
//! push out what happened.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use console_api::{AuditEntry, AuditOutcome, AuditQuery, Page, Problem};
use id::Time;
use serde_json::Value;
use store::{Key, Transaction};

use super::Asker;
use crate::api::No;
use crate::records::{self, key, value};
use crate::state::Console;

/// The most entries that are kept.
const ENTRIES_MAX: u64 = 65_536;

/// The fields of requests that are told: short, and never a secret.
const TOLD: &[&str] = &[
    "what",
    "contract",
    "node",
    "nodes",
    "name",
    "of",
    "tier",
    "verb",
    "role",
    "uid",
    "minutes",
    "if_match",
    "serial",
    "engine",
    "volume",
    "incident",
    "keep",
    "accept_risk",
    "message",
    "receiver",
    "cluster",
    "action",
    "size_mib",
];

/// The longest text that is told of one field, and of a path.
const TEXT_CHARS_MAX: usize = 200;

/// The most words of one list.
const WORDS_MAX: usize = 32;

/// How many refusals of one person are written within [`REFUSALS_SPAN`]: who may nothing cannot fill the trail by
/// asking.
const REFUSALS_MAX: u32 = 100;
const REFUSALS_SPAN: Duration = Duration::from_secs(3600);

/// How many refusals were written of late, by person.
#[derive(Debug, Default)]
pub(crate) struct Refusals(BTreeMap<String, (Time, u32)>);

impl Refusals {
    /// Whether one more may be written.
    fn one_more(&mut self, user: &str, now: Time) -> bool {
        self.0.retain(|_, (since, _)| since.plus(REFUSALS_SPAN) > now);
        let (_, count) = self.0.entry(user.to_owned()).or_insert((now, 0));
        *count = count.saturating_add(1);
        *count <= REFUSALS_MAX
    }
}

/// What is asked for.
pub(crate) struct Act<'a> {
    pub(crate) asker: &'a Asker,
    pub(crate) operation: &'a str,
    pub(crate) path: &'a str,
    pub(crate) body: &'a [u8],
    pub(crate) request_id: &'a str,
}

fn entry_key(number: u64) -> Key {
    key(format!("audit/{number:016}"))
}

fn last_key() -> Key {
    key("audit-last".to_owned())
}

impl Console {
    /// Writes down that something is asked for. Nothing is done before this is on the medium.
    pub(crate) async fn audit(&self, act: &Act<'_>, outcome: AuditOutcome) -> Result<AuditEntry, No> {
        let _turn = self.auditing.lock().await;
        let last = records::get::<u64>(self.store(), &last_key())?;
        let number = last.as_ref().map_or(0, |last| last.value) + 1;
        let entry = AuditEntry {
            number,
            at: self.world.now(),
            user: act.asker.name.clone(),
            by: act.asker.by.clone(),
            operation: act.operation.to_owned(),
            path: short(act.path),
            about: about(act.body),
            outcome,
            request_id: act.request_id.to_owned(),
        };
        let mut write = Transaction::new()
            .expect(&last_key(), last.as_ref().map(|last| &last.entry))
            .put(&last_key(), value(&number))
            .put(&entry_key(number), value(&entry));
        if let Some(oldest) = number.checked_sub(ENTRIES_MAX).filter(|oldest| *oldest > 0) {
            write = write.remove(&entry_key(oldest));
        }
        self.commit(write).await?;
        Ok(entry)
    }

    /// Writes down that somebody was refused by their role, unless they ask for it again and again.
    pub(crate) async fn audit_refusal(&self, act: &Act<'_>, problem: &Problem) -> Result<(), No> {
        let now = self.world.now();
        let wanted =
            self.refusals.lock().unwrap_or_else(PoisonError::into_inner).one_more(&act.asker.name, now);
        if wanted { self.audit(act, refusal(problem)).await.map(drop) } else { Ok(()) }
    }

    /// Writes down what came of it.
    pub(crate) async fn audited(&self, mut entry: AuditEntry, problem: Option<&Problem>) -> Result<(), No> {
        entry.outcome = problem.map_or(AuditOutcome::Done, refusal);
        self.commit(Transaction::new().put(&entry_key(entry.number), value(&entry))).await.map(drop)
    }

    pub(super) fn audit_page(&self, query: &AuditQuery) -> Result<Page<AuditEntry>, No> {
        let last = records::get::<u64>(self.store(), &last_key())?.map_or(0, |last| last.value);
        let after =
            query.after.unwrap_or_else(|| query.newest.map_or(0, |newest| last.saturating_sub(newest)));
        let limit = usize::from(query.limit.unwrap_or(100).clamp(1, 1000));
        let page = self.store().range("audit/", Some(&entry_key(after)), limit)?;
        let items = page.entries.into_iter().map(records::read).collect::<Result<Vec<_>, _>>()?;
        let items: Vec<AuditEntry> = items.into_iter().map(|read| read.value).collect();
        let next = items.last().filter(|_| page.more).map(|last| last.number.to_string());
        Ok(Page { items, next })
    }
}

/// A refusal as the trail has it.
fn refusal(problem: &Problem) -> AuditOutcome {
    AuditOutcome::Refused { code: short(&problem.code), message: short(&problem.message) }
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// The short parts of a body that may be told. What is no object says nothing.
fn about(body: &[u8]) -> BTreeMap<String, String> {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else { return BTreeMap::new() };
    let told = |field: &str| Some((field.to_owned(), word(body.get(field)?)?));
    TOLD.iter().filter_map(|field| told(field)).collect()
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(short(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Array(words) => {
            let words: Vec<_> = words.iter().take(WORDS_MAX).filter_map(Value::as_str).collect();
            Some(short(&words.join(","))).filter(|words| !words.is_empty())
        }
        Value::Null | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_written_up_to_a_bound_and_again_later() {
        let (mut refusals, now) = (Refusals::default(), Time::ZERO.plus(Duration::from_secs(9_000)));
        let written = (0..1000).filter(|_| refusals.one_more("kim", now)).count();
        assert_eq!(written, REFUSALS_MAX as usize);
        assert!(refusals.one_more("ada", now));
        assert!(refusals.one_more("kim", now.plus(REFUSALS_SPAN)));
    }

    #[test]
    fn what_is_told_is_short_and_on_the_list() {
        let body = br#"{"what":"L-9","nodes":["n1","n2"],"minutes":5,"token":"secret","args":{"node":"x"},"name":null}"#;
        let told: Vec<_> = about(body).into_iter().map(|(field, word)| format!("{field}={word}")).collect();
        assert_eq!(told, ["minutes=5", "nodes=n1,n2", "what=L-9"]);
        assert!(about(b"[1]").is_empty() && about(b"").is_empty() && about(b"{").is_empty());
        let long = format!("{{\"what\":\"{}\"}}", "x".repeat(9999));
        assert_eq!(about(long.as_bytes())["what"].len(), TEXT_CHARS_MAX);
    }
}
