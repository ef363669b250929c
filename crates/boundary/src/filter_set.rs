//! A boundary file: the allow and deny rules of one tier (FORMATS, "Boundary file").

use std::collections::BTreeMap;

use crate::addresses;
use crate::directory::Directory;
use crate::document::{Document, check_version};
use crate::problem::{Problem, Problems, quoted};
use crate::resolved::{ResolvedRule, ResolvedSet};
use crate::rule::{Remote, Rule};

/// More rules in one file are refused.
pub const RULES_MAX: usize = 100_000;

const KEYS: [&str; 3] = ["version", "allow", "deny"];

/// A parsed boundary file; names are not resolved yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FilterSet {
    /// What is admitted,
    pub allow: Vec<Rule>,
    /// unless one of these matches.
    pub deny: Vec<Rule>,
}

impl FilterSet {
    /// Reads a boundary file.
    ///
    /// # Errors
    /// Every fault, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problems> {
        let document = Document::new(bytes)?;
        let top = document.parse()?;
        let entries = document.entries(&top);
        check_version(&entries)?;
        let mut problems = Vec::new();
        let mut set = Self::default();
        for entry in &entries {
            let rules = match entry.key {
                "version" => continue,
                "allow" => &mut set.allow,
                "deny" => &mut set.deny,
                other => {
                    let problem =
                        Problem::new(entry.line, format!("a boundary file has no key {}", quoted(other)));
                    problems.push(problem.nearest(other, KEYS));
                    continue;
                }
            };
            match entry.tables(&document) {
                Err(problem) => {
                    problems.push(problem.hint(format!("begin each rule with `[[{}]]`", entry.key)))
                }
                Ok(tables) if tables.is_empty() => {
                    problems.push(entry.problem("the list is empty").hint("leave the key out for no rules"));
                }
                Ok(tables) if tables.len() > RULES_MAX => {
                    let problem = entry.problem(format!("{} rules are more than {RULES_MAX}", tables.len()));
                    problems.push(problem.hint("a rule takes lists of addresses and ports"));
                }
                Ok(tables) => {
                    let read = |(line, table)| Rule::read(&document, line, table, &mut problems);
                    *rules = tables.into_iter().map(read).collect();
                }
            }
        }
        set.check_names(&mut problems);
        match Problems::of(problems) {
            None => Ok(set),
            Some(problems) => Err(problems),
        }
    }

    /// What a rule is called: its name, or its place.
    fn label(kind: &str, place: usize, rule: &Rule) -> String {
        rule.name.clone().unwrap_or_else(|| format!("{kind}[{place}]"))
    }

    fn labelled(&self) -> impl Iterator<Item = (String, &Rule)> {
        let of = |kind: &'static str, rules: &'_ [Rule]| {
            rules.iter().enumerate().map(|(place, rule)| Self::label(kind, place, rule)).collect::<Vec<_>>()
        };
        let labels = of("allow", &self.allow).into_iter().chain(of("deny", &self.deny));
        labels.zip(self.allow.iter().chain(&self.deny))
    }

    /// No two rules are called the same.
    fn check_names(&self, problems: &mut Vec<Problem>) {
        let mut first: BTreeMap<String, usize> = BTreeMap::new();
        let mut rules: Vec<_> = self.labelled().collect();
        rules.sort_by_key(|(_, rule)| rule.name_line);
        for (label, rule) in rules {
            if let Some(before) = first.get(&label) {
                let error = format!("two rules are called {}; the other is in line {before}", quoted(&label));
                problems.push(Problem::new(rule.name_line, error).hint("give each rule a name of its own"));
            } else {
                first.insert(label, rule.name_line);
            }
        }
    }

    /// Puts addresses in the place of names.
    ///
    /// # Errors
    /// Names that the directory does not have, with the line of their `remote`.
    pub fn resolve(&self, directory: Option<&Directory>) -> Result<ResolvedSet, Problems> {
        match self.resolved(directory, |_deny| Lost::Fault) {
            (set, None) => Ok(set),
            (_, Some(problems)) => Err(problems),
        }
    }

    /// The same for a set that is in force already, when a later directory has lost some of its names (or is
    /// itself lost): such a name in an allow means no address, and a deny with one denies every remote.
    /// Gives what was lost.
    #[must_use]
    pub fn resolve_closed(&self, directory: Option<&Directory>) -> (ResolvedSet, Option<Problems>) {
        self.resolved(directory, |deny| Lost::Closes { deny })
    }

    /// Whether a rule speaks of names, which a directory gives their meaning.
    #[must_use]
    pub fn has_names(&self) -> bool {
        let named = |remote: &Remote| match remote {
            Remote::Cluster(_) | Remote::Node(_) | Remote::Group(_) | Remote::Key(_) => true,
            Remote::Any | Remote::Internet | Remote::Addresses(_) => false,
        };
        self.allow.iter().chain(&self.deny).flat_map(|rule| &rule.remote).any(named)
    }

    /// Whether a directory has a say in what the set means: by names, or by what it leaves out of the internet.
    #[must_use]
    pub fn asks_the_directory(&self) -> bool {
        let mut rules = self.allow.iter().chain(&self.deny);
        self.has_names() || rules.any(|rule| rule.remote.contains(&Remote::Internet))
    }

    /// Whether the set, resolved, has no more than `max` parts: each rule counts for eight, each range of
    /// remote addresses for one. Counts no further, and resolves nothing: a few bytes that name a large
    /// cluster in each rule would take more memory than there is.
    #[must_use]
    pub fn has_at_most(&self, max: usize, directory: Option<&Directory>) -> bool {
        const OF_A_RULE: usize = 8;
        let mut left = max;
        self.allow.iter().chain(&self.deny).all(|rule| {
            let ranges = |remote: &Remote| {
                if let Remote::Addresses(ranges) = remote {
                    return ranges.len();
                }
                resolve_remote(remote, directory, rule.remote_line).map_or(1, |ranges| ranges.len())
            };
            let mut parts = std::iter::once(OF_A_RULE).chain(rule.remote.iter().map(ranges));
            parts.all(|parts| {
                let fits = parts <= left;
                left = left.saturating_sub(parts);
                fits
            })
        })
    }

    fn resolved(
        &self,
        directory: Option<&Directory>,
        lost: impl Fn(bool) -> Lost,
    ) -> (ResolvedSet, Option<Problems>) {
        let mut problems = Vec::new();
        let mut resolve = |kind: &str, rules: &[Rule]| {
            let lost = lost(kind == "deny");
            let resolve = |(place, rule)| {
                resolve_rule(Self::label(kind, place, rule), rule, directory, lost, &mut problems)
            };
            rules.iter().enumerate().map(resolve).collect()
        };
        let set = ResolvedSet { allow: resolve("allow", &self.allow), deny: resolve("deny", &self.deny) };
        (set, Problems::of(problems))
    }
}

/// Where a name that means nothing any more leaves a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// It is a fault.
    Fault,
    /// An allow says nothing about it, a deny denies every remote: closed, whatever the name meant.
    Closes { deny: bool },
}

fn resolve_rule(
    name: String,
    rule: &Rule,
    directory: Option<&Directory>,
    lost: Lost,
    problems: &mut Vec<Problem>,
) -> ResolvedRule {
    let mut remote = Vec::new();
    for value in &rule.remote {
        match resolve_remote(value, directory, rule.remote_line) {
            Ok(mut ranges) => remote.append(&mut ranges),
            Err(problem) => {
                problems.push(problem);
                if lost == (Lost::Closes { deny: true }) {
                    remote.push((0, u128::MAX));
                }
            }
        }
    }
    ResolvedRule {
        name,
        inbound: rule.inbound,
        outbound: rule.outbound,
        protocol: rule.protocol,
        remote: addresses::normalise(remote),
        remote_port: rule.remote_port.clone(),
        local_port: rule.local_port.clone(),
        one_way: rule.one_way,
    }
}

fn resolve_remote(
    remote: &Remote,
    directory: Option<&Directory>,
    line: usize,
) -> Result<addresses::AddressRanges, Problem> {
    let (kind, name) = match remote {
        Remote::Any => return Ok(vec![(0, u128::MAX)]),
        Remote::Internet => return Ok(addresses::internet(directory.map_or(&[], Directory::facility))),
        Remote::Addresses(ranges) => return Ok(ranges.clone()),
        Remote::Cluster(name) => ("cluster", name.to_string()),
        Remote::Node(name) => ("node", name.to_string()),
        Remote::Group(name) => ("group", name.to_string()),
        Remote::Key(key) => ("key", key.to_string()),
    };
    let Some(directory) = directory else {
        let error = format!("`remote`: `{kind}:{name}` means nothing without a directory");
        return Err(Problem::new(line, error).hint("give the directory with --directory"));
    };
    let addresses = match remote {
        Remote::Cluster(name) => directory.cluster(name),
        Remote::Node(name) => directory.node(name),
        Remote::Group(name) => directory.group(name),
        Remote::Key(key) => directory.key(key),
        Remote::Any | Remote::Internet | Remote::Addresses(_) => None,
    };
    addresses.map(|addresses| addresses.into_iter().map(|address| (address, address)).collect()).ok_or_else(
        || {
            let known = directory.known(kind);
            let error = format!("`remote`: the directory has no {kind} {}", quoted(&name));
            let problem = Problem::new(line, error);
            if known.is_empty() {
                return problem.hint(format!("no {kind} at all is in it"));
            }
            problem.nearest(&name, known.iter().map(String::as_str))
        },
    )
}
