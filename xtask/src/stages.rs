//! Stages of a longer chore: each is timed, all are run, and the end says which failed.

use std::time::{Duration, Instant};

use crate::failure::Failure;

/// What has been run so far.
#[derive(Debug, Default)]
pub(crate) struct Stages {
    done: Vec<Done>,
    only: Vec<String>,
}

#[derive(Debug)]
struct Done {
    name: &'static str,
    took: Duration,
    failure: Option<String>,
}

impl Stages {
    /// Runs the stages named, or all when none is.
    pub(crate) fn new(only: Vec<String>) -> Self {
        Self { done: Vec::new(), only }
    }

    /// Whether a stage of this name would be run.
    pub(crate) fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == name)
    }

    /// Runs one stage; a failure is told at once and again at the end.
    pub(crate) fn run(&mut self, name: &'static str, stage: impl FnOnce() -> Result<(), Failure>) {
        if !self.wants(name) {
            return;
        }
        crate::say(&format!("==> {name}"));
        let begun = Instant::now();
        let failure = stage().err().map(|failure| failure.in_full());
        let took = begun.elapsed();
        match &failure {
            None => crate::say(&format!("==> {name}: ok, {:.1} s", took.as_secs_f64())),
            Some(failure) => crate::complain(&format!("error: {name}: {failure}")),
        }
        self.done.push(Done { name, took, failure });
    }

    /// Prints the summary; `true` when every stage held.
    pub(crate) fn summary(&self) -> bool {
        crate::say("\nstage          seconds");
        for done in &self.done {
            let verdict = if done.failure.is_some() { "FAILED" } else { "ok" };
            crate::say(&format!("{:<14} {:>7.1}  {verdict}", done.name, done.took.as_secs_f64()));
        }
        for done in &self.done {
            if let Some(failure) = &done.failure {
                crate::complain(&format!("error: {}: {failure}", done.name));
            }
        }
        !self.done.is_empty() && self.done.iter().all(|done| done.failure.is_none())
    }
}
