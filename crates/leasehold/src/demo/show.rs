//! How the tour is told: to a person, or as the JSON lines of FORMATS ("The tour").

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::output::{Format, line};

/// Tells the tour.
#[derive(Debug)]
pub(crate) struct Show {
    format: Format,
    /// The tour's name in FORMATS.
    tour: &'static str,
    /// Set when the demo is being taken down.
    pub(crate) silent: AtomicBool,
}

/// What a step found: claims that held or not, facts, and sentences for a person.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    broken: bool,
    facts: Map<String, Value>,
    told: Vec<String>,
}

impl Evidence {
    /// A claim; the step holds if all its claims do. For a person `claim` is a sentence.
    pub(crate) fn check(&mut self, claim: impl Into<String>, holds: bool) {
        self.broken |= !holds;
        self.told.push(format!("{} {}", if holds { "✓" } else { "✗" }, claim.into()));
    }

    /// A fact for programs.
    pub(crate) fn fact(&mut self, key: &str, value: impl Into<Value>) {
        self.facts.insert(key.to_owned(), value.into());
    }

    /// A sentence for a person.
    pub(crate) fn tell(&mut self, sentence: impl Into<String>) {
        self.told.push(format!("  {}", sentence.into()));
    }

    /// Whether everything held so far.
    pub(crate) const fn holds(&self) -> bool {
        !self.broken
    }
}

impl Show {
    pub(crate) const fn new(format: Format, tour: &'static str) -> Self {
        Self { format, tour, silent: AtomicBool::new(false) }
    }

    /// Says what comes next.
    pub(crate) fn begin(&self, number: usize, title: &str) {
        self.person(&format!("\n==> {number}. {title}"));
    }

    /// Says how a step went.
    pub(crate) fn end(&self, step: &str, seconds: Duration, evidence: &Evidence) {
        let held = evidence.holds();
        match self.format {
            Format::Json if !self.silent.load(Ordering::Relaxed) => {
                let seconds = (seconds.as_secs_f64() * 1e3).round() / 1e3;
                line(&json!({
                    "tour": self.tour, "step": step, "held": held, "seconds": seconds, "evidence": evidence.facts,
                }).to_string());
            }
            Format::Json => (),
            Format::Text => {
                evidence.told.iter().for_each(|sentence| self.person(&format!("    {sentence}")));
                let word = if held { "held" } else { "DID NOT HOLD" };
                self.person(&format!("    {word} ({step}, {:.2} s)", seconds.as_secs_f64()));
            }
        }
    }

    /// A line for a person alone.
    pub(crate) fn person(&self, text: &str) {
        if self.format == Format::Text && !self.silent.load(Ordering::Relaxed) {
            line(text);
        }
    }
}
