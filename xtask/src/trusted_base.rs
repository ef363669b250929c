//! The trusted base: what `bmonitor` links and the filter program in the kernel. `docs/trusted-base.txt`
//! records it, so that a change that makes it grow shows in review.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::failure::Failure;
use crate::workspace::Workspace;

const FILE: &str = "docs/trusted-base.txt";

const HEAD: &str = "\
# What bmonitor links, and the filter program: written by `cargo xtask trusted-base --write`.
# CI fails when the list of crates differs, and tells when lines were added.
";

/// The trusted base as it is now, or as it was recorded.
#[derive(Debug, Default, PartialEq, Eq)]
struct Base {
    /// Lines of code of each crate of ours: no blank lines, no comments, no tests.
    lines: BTreeMap<String, usize>,
    /// Names of the crates of others. Versions are left out: `Cargo.lock` has them.
    others: Vec<String>,
}

/// Prints the trusted base, or writes it to the committed file.
pub(crate) fn show(workspace: &Workspace, write: bool) -> Result<(), Failure> {
    let text = Base::measure(workspace)?.text();
    if write {
        let path = workspace.workspace_root.join(FILE);
        return std::fs::write(&path, format!("{HEAD}{text}")).map_err(Failure::file("write", &path));
    }
    crate::say(text.trim_end());
    Ok(())
}

/// Compares with the committed file. Other crates than recorded fail; other line counts are told.
pub(crate) fn check(workspace: &Workspace) -> Result<(), Failure> {
    let now = Base::measure(workspace)?;
    let then = Base::parse(&workspace.read(FILE)?)?;
    for (name, lines) in &now.lines {
        let before = then.lines.get(name).copied().unwrap_or(0);
        if *lines != before {
            crate::say(&format!("{name}: {before} lines recorded, {lines} now"));
        }
    }
    crate::say(&format!("{} lines, {} crates of others", now.total(), now.others.len()));
    let added = now.others.iter().filter(|name| !then.others.contains(name));
    let gone = then.others.iter().filter(|name| !now.others.contains(name));
    let added = added.map(|name| format!("{name} came into the trusted base and is not in {FILE}"));
    let gone = gone.map(|name| format!("{name} stands in {FILE} and is no longer linked"));
    Failure::unless_empty(added.chain(gone).collect())
}

impl Base {
    fn measure(workspace: &Workspace) -> Result<Self, Failure> {
        let members = workspace.members();
        let mut base = Self::default();
        for package in workspace.linked_by(&["bmonitor"]) {
            if !members.contains_key(package.name.as_str()) {
                base.others.push(package.name.clone());
                continue;
            }
            let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
            for part in ["src", "bpf"] {
                *base.lines.entry(package.name.clone()).or_default() += lines_under(&folder.join(part))?;
            }
        }
        base.others.sort();
        base.others.dedup();
        Ok(base)
    }

    fn parse(text: &str) -> Result<Self, Failure> {
        let mut base = Self::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.split_whitespace().collect::<Vec<_>>()[..] {
                [] | ["total", ..] => {}
                ["ours", name, lines] => {
                    let lines = lines.parse().map_err(|error| Failure::Form {
                        what: FILE.to_owned(),
                        reason: format!("`{lines}`: {error}"),
                    })?;
                    base.lines.insert(name.to_owned(), lines);
                }
                ["others", name] => base.others.push(name.to_owned()),
                _ => {
                    return Err(Failure::Form {
                        what: FILE.to_owned(),
                        reason: format!("the line `{line}`"),
                    });
                }
            }
        }
        Ok(base)
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for (name, lines) in &self.lines {
            writeln!(text, "ours    {name:<14} {lines:>6}").unwrap_or_default();
        }
        for name in &self.others {
            writeln!(text, "others  {name}").unwrap_or_default();
        }
        writeln!(text, "total   {} lines, {} crates of others", self.total(), self.others.len())
            .unwrap_or_default();
        text
    }

    fn total(&self) -> usize {
        self.lines.values().sum()
    }
}

/// Lines of code in a folder's Rust and C files. A folder that is not there has none.
fn lines_under(folder: &Path) -> Result<usize, Failure> {
    let mut lines = 0;
    if !folder.exists() {
        return Ok(lines);
    }
    for entry in std::fs::read_dir(folder).map_err(Failure::file("read", folder))? {
        let path = entry.map_err(Failure::file("read", folder))?.path();
        let is_source =
            path.extension().is_some_and(|end| ["rs", "c", "h"].iter().any(|known| end == *known));
        if path.is_dir() && !path.ends_with("tests") {
            lines += lines_under(&path)?;
        } else if is_source && !path.ends_with("tests.rs") {
            lines += code_lines(&std::fs::read_to_string(&path).map_err(Failure::file("read", &path))?);
        }
    }
    Ok(lines)
}

/// Lines with code on them, up to the tests at a file's end.
fn code_lines(text: &str) -> usize {
    let before_tests = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    before_tests.map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//")).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_code_are_neither_blank_nor_comment_nor_test() {
        assert_eq!(code_lines("//! x\n\nfn a() {\n    // y\n}\n#[cfg(test)]\nmod tests {}\n"), 2);
    }

    #[test]
    fn the_text_form_reads_back() {
        let lines = BTreeMap::from([("id".to_owned(), 12), ("os".to_owned(), 30)]);
        let base = Base { lines, others: vec!["libc".to_owned()] };
        assert_eq!(Base::parse(&base.text()).unwrap(), base);
    }
}
