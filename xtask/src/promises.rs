//! `docs/promises.md` names the test that keeps each promise. Here: that each requirement stands in it
//! once, and that the tests it names are there.

use std::collections::BTreeMap;
use std::path::Path;

use crate::failure::Failure;
use crate::workspace::Workspace;

const FILE: &str = "docs/promises.md";

/// M1 to M48.
const REQUIREMENTS: std::ops::RangeInclusive<u32> = 1..=48;

/// A row of a table: `| M4 | promise | kept by |`.
struct Row<'text> {
    promise: &'text str,
    /// Tests, as `crate::name_of_the_test`.
    tests: Vec<&'text str>,
    says_not_yet: bool,
}

fn rows(text: &str) -> impl Iterator<Item = Row<'_>> {
    text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.strip_suffix('|')?.split('|').map(str::trim).collect();
        let [promise, .., kept] = cells[..] else { return None };
        let is_head = promise.starts_with("--") || kept == "kept by";
        (!is_head).then(|| Row { promise, tests: tests_in(kept), says_not_yet: kept.contains("not yet") })
    })
}

/// What stands between backticks and looks like a test of a crate.
fn tests_in(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).filter(|code| code.contains("::")).collect()
}

/// Everything that is wrong with the file.
fn findings(workspace: &Workspace, text: &str) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    let mut seen = BTreeMap::<&str, u32>::new();
    let mut sources = BTreeMap::new();
    for row in rows(text) {
        *seen.entry(row.promise).or_default() += 1;
        if row.tests.is_empty() && !row.says_not_yet {
            found.push(format!("{}: no test is named, and it does not say `not yet`", row.promise));
        }
        for test in row.tests {
            let Some((package, name)) = test.split_once("::") else { continue };
            if !sources.contains_key(package) {
                sources.insert(package, source_of(workspace, package)?);
            }
            if !is_a_test(&sources[package], name) {
                found.push(format!("{}: there is no test `{test}`", row.promise));
            }
        }
    }
    for number in REQUIREMENTS {
        let times = seen.get(format!("M{number}").as_str()).copied().unwrap_or(0);
        if times != 1 {
            found.push(format!("M{number} stands in {FILE} {times} times"));
        }
    }
    Ok(found)
}

/// A function under `#[test]` or `#[tokio::test]`, or a name in the list of a test program with a runner of its own.
fn is_a_test(source: &str, name: &str) -> bool {
    let function = format!("fn {name}(");
    let as_function = source.match_indices(&function).any(|(at, _)| {
        let before = &source[..at];
        let marks = ["#[test]", "#[tokio::test"].iter().filter_map(|mark| before.rfind(mark));
        marks.max().is_some_and(|test| !before[test..].contains("fn "))
    });
    as_function || source.contains(&format!("(\"{name}\"")) || source.contains(&format!("\"{name}\","))
}

/// All Rust text of a package, one file after the other.
fn source_of(workspace: &Workspace, package: &str) -> Result<String, Failure> {
    let members = workspace.members();
    let folder = members.get(package).and_then(|package| package.manifest_path.parent());
    let folder = folder.ok_or_else(|| Failure::Form {
        what: FILE.to_owned(),
        reason: format!("there is no crate `{package}`"),
    })?;
    let mut text = String::new();
    for part in ["src", "tests"] {
        gather(&folder.join(part), &mut text)?;
    }
    Ok(text)
}

fn gather(folder: &Path, text: &mut String) -> Result<(), Failure> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder).map_err(Failure::file("read", folder))? {
        let path = entry.map_err(Failure::file("read", folder))?.path();
        if path.is_dir() {
            gather(&path, text)?;
        } else if path.extension().is_some_and(|end| end == "rs") {
            text.push_str(&std::fs::read_to_string(&path).map_err(Failure::file("read", &path))?);
        }
    }
    Ok(())
}

#[test]
fn every_requirement_stands_once_and_every_named_test_exists() {
    let workspace = Workspace::load().unwrap();
    let text = workspace.read(FILE).unwrap();
    assert_eq!(findings(&workspace, &text).unwrap(), Vec::<String>::new());
}

#[test]
fn a_promise_without_a_test_is_found() {
    let workspace = Workspace::load().unwrap();
    let text = "| M1 | a | `xtask::no_such_test` |\n| M2 | b | |\n| M3 | c | not yet |\n\
                | M4 | d | `xtask::a_promise_without_a_test_is_found` |\n";
    let found = findings(&workspace, text).unwrap();
    assert_eq!(
        found[..2],
        ["M1: there is no test `xtask::no_such_test`", "M2: no test is named, and it does not say `not yet`"]
    );
    assert_eq!(found[2], "M5 stands in docs/promises.md 0 times");
}
