//! The crate graph: who of ours may depend on whom. The permitted arrows are the committed file
//! `docs/crate-graph.txt`; an arrow that is not in it fails the tests and so shows in review.

use std::collections::{BTreeMap, BTreeSet};

use crate::failure::Failure;
use crate::workspace::{Package, Workspace};

/// The committed file with the permitted arrows.
const FILE: &str = "docs/crate-graph.txt";

/// A crate's name, and the crates that it may use.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// Compares the manifests with the committed file.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    Failure::unless_empty(differences(workspace, &parse(&workspace.read(FILE)?)?))
}

/// Reads lines of the form `name -> a b c`; `#` begins a comment.
fn parse(text: &str) -> Result<Arrows, Failure> {
    let mut arrows = Arrows::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let Some((from, to)) = line.split_once("->") else {
            return Err(Failure::Form { what: FILE.to_owned(), reason: format!("no arrow in `{line}`") });
        };
        let to = to.split_whitespace().filter(|name| *name != "-").map(str::to_owned).collect();
        if arrows.insert(from.trim().to_owned(), to).is_some() {
            return Err(Failure::Form { what: FILE.to_owned(), reason: format!("`{from}` stands twice") });
        }
    }
    Ok(arrows)
}

/// What may be used: the arrows of the file, and whatever their targets may use.
fn permitted(arrows: &Arrows) -> Arrows {
    let mut closed = arrows.clone();
    loop {
        let next: Arrows =
            closed.iter().map(|(from, to)| (from.clone(), one_step_more(&closed, to))).collect();
        if next == closed {
            return closed;
        }
        closed = next;
    }
}

fn one_step_more(arrows: &Arrows, to: &BTreeSet<String>) -> BTreeSet<String> {
    let further = to.iter().filter_map(|name| arrows.get(name)).flatten();
    to.iter().chain(further).cloned().collect()
}

/// Every way in which the manifests differ from the file; empty when they agree.
fn differences(workspace: &Workspace, arrows: &Arrows) -> Vec<String> {
    let permitted = permitted(arrows);
    let members = workspace.members();
    let mut found = Vec::new();
    for (name, package) in &members {
        let Some(allowed) = permitted.get(*name) else {
            found.push(format!("crate {name} is not in {FILE}"));
            continue;
        };
        let surplus = own_dependencies(package).filter(|used| !allowed.contains(*used));
        found.extend(surplus.map(|used| format!("{name} depends on {used}, which {FILE} does not permit")));
    }
    let gone = arrows.keys().filter(|name| !members.contains_key(name.as_str()));
    found.extend(gone.map(|name| format!("{FILE} names {name}, which is not a crate of the workspace")));
    found.extend(
        arrows
            .keys()
            .filter(|name| permitted[*name].contains(*name))
            .map(|name| format!("{name} reaches itself")),
    );
    found
}

/// What a crate of ours uses of ours, in the program or its build script. Tests may use what they like.
fn own_dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let used = package.dependencies.iter();
    let used = used.filter(|used| used.path.is_some() && used.kind.as_deref() != Some("dev"));
    used.map(|used| used.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_dependency_between_our_crates_is_permitted() {
        check(&Workspace::load().unwrap()).unwrap();
    }

    #[test]
    fn an_arrow_that_is_not_in_the_file_is_found() {
        let workspace = Workspace::load().unwrap();
        let mut arrows = parse(&workspace.read(FILE).unwrap()).unwrap();
        arrows.insert("journal".to_owned(), BTreeSet::new());
        let found = differences(&workspace, &arrows);
        assert!(found.iter().any(|line| line.starts_with("journal depends on keys")), "{found:?}");
    }

    #[test]
    fn an_arrow_includes_what_its_target_may_use() {
        let arrows = parse("a -> b\nb -> c\nc -> -\n").unwrap();
        assert_eq!(permitted(&arrows)["a"], ["b", "c"].map(str::to_owned).into());
    }

    #[test]
    fn a_circle_is_found() {
        let workspace = Workspace::load().unwrap();
        let mut arrows = parse(&workspace.read(FILE).unwrap()).unwrap();
        arrows.insert("id".to_owned(), ["journal".to_owned()].into());
        assert!(differences(&workspace, &arrows).contains(&"id reaches itself".to_owned()));
    }
}
