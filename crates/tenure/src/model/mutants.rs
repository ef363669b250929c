//! The tests: as written, everything holds; with any rule broken, something does not.

use std::sync::Arc;
use std::time::Instant;

use stateright::{Checker, Model};

use super::check::{Counters, Invariant};
use super::explore::Explored;
use super::scenario::Scenario;
use crate::rule::Rule;

/// The environment variable that deepens the exploration by so many actions, for soaks.
const DEEPER: &str = "TENURE_MODEL_DEEPER";

fn deeper() -> usize {
    std::env::var(DEEPER).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn model_holds_as_written() {
    let total = Counters::new();
    println!("scenario       actions in a row   states       transitions   seconds");
    for scenario in Scenario::all() {
        let (name, depth) = (scenario.name, scenario.depth + deeper());
        let counters = Arc::new(Counters::new());
        let began = Instant::now();
        let explored = Explored { scenario, broken: None, counters: Arc::clone(&counters) };
        // stateright counts the first state as depth 1.
        let checker = explored.checker().threads(2).target_max_depth(depth + 1).spawn_bfs().join();
        if let Some(path) = checker.discovery("every invariant holds") {
            panic!("{name}: {}", told(checker.model(), &path));
        }
        println!(
            "{name:<14} {depth:>16} {:>8} {:>17} {:>9.1}",
            checker.unique_state_count(),
            checker.state_count(),
            began.elapsed().as_secs_f64()
        );
        total.add(&counters);
    }
    println!("\n   put to the test  invariant");
    for invariant in Invariant::ALL {
        println!("{:>18}  {}", total.of(*invariant), invariant.sentence());
    }
    let vacuous: Vec<_> = Invariant::ALL.iter().filter(|invariant| total.of(**invariant) == 0).collect();
    assert!(vacuous.is_empty(), "never put to the test: {vacuous:?}");
}

#[test]
fn model_catches_every_mutant() {
    let mut missed = Vec::new();
    for rule in Rule::ALL {
        let scenario = Scenario::all().into_iter().find(|scenario| scenario.name == shown_in(rule)).unwrap();
        match counterexample(scenario, rule) {
            Some(found) => println!("without {rule:?} {found}"),
            None => missed.push(rule),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

/// The scenario whose menu has what the broken rule forbids.
const fn shown_in(rule: Rule) -> &'static str {
    match rule {
        Rule::Tier
        | Rule::GrantableIsNotExercisable
        | Rule::Boundary
        | Rule::RightsSubset
        | Rule::RightsAlongPath
        | Rule::KeyRights
        | Rule::EnrollerRights
        | Rule::Lease
        | Rule::Suspension
        | Rule::View => "limits",
        Rule::Epoch | Rule::Cascade | Rule::ForcedErases => "renewal",
        Rule::ConsentOnce
        | Rule::ConsentNeeded
        | Rule::ConsentNamesSuccessor
        | Rule::ErasureReplacesSalt
        | Rule::OwnConsoles
        | Rule::NextPartyOwnConsoles => "reassignment",
        Rule::LapseOnlySuspends
        | Rule::TermsSubset
        | Rule::TermsAlongPath
        | Rule::NotAfter
        | Rule::ClockForward
        | Rule::SeveringNeedsTheRightAlone => "terms",
        Rule::SequenceSurvives | Rule::RemovalRemoves | Rule::Sequence => "re-adding",
        Rule::SequenceSurvivesLease | Rule::NonceOnce | Rule::LeaderTerm | Rule::AppliesRecordAlone => {
            "replay"
        }
        Rule::TrialEnds => "trial",
        Rule::DirectoryForward | Rule::DirectoryOfRoot | Rule::DirectorySigned => "directory",
        Rule::QuotaSparesSevering => "resilience",
        Rule::StepOrder | Rule::NoRegrant | Rule::SeveredHasNoConsole => "severing",
    }
}

fn counterexample(scenario: Scenario, rule: Rule) -> Option<String> {
    let (name, depth) = (scenario.name, scenario.depth);
    let explored = Explored { scenario, broken: Some(rule), counters: Arc::new(Counters::new()) };
    let checker = explored.checker().threads(2).target_max_depth(depth + 1).spawn_bfs().join();
    checker
        .discovery("every invariant holds")
        .map(|path| format!("in {name}: {}", told(checker.model(), &path)))
}

/// The row of actions, and what did not hold after it.
fn told(model: &Explored, path: &stateright::Path<super::state::State, super::explore::Action>) -> String {
    let flaw = model.flaw(path.last_state()).map_or("nothing is wrong", Invariant::sentence);
    let actions = path.clone().into_actions();
    let row: Vec<String> =
        actions.iter().map(|action| format!("\n    {}", model.format_action(action))).collect();
    format!("broken is \"{flaw}\", by{}", row.concat())
}
