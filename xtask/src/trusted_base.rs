//! The trusted base: what `bmonitor` links and the filter program in the kernel. `docs/trusted-base.txt`
//! records it, so that a change that makes it grow shows in review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

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

/// The same as figures of the bench `node`, a JSON object each.
pub(crate) fn figures(workspace: &Workspace) -> Result<[String; 2], Failure> {
    let base = Base::measure(workspace)?;
    let figure = |name, value, unit| {
        serde_json::json!({ "bench": "node", "figure": name, "value": value, "unit": unit, "runs": 1 })
            .to_string()
    };
    Ok([
        figure("trusted_base_lines", base.total(), "lines"),
        figure("trusted_base_crates", base.others.len(), "crates"),
    ])
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
        for name in workspace.linked_by("bmonitor")? {
            let Some(package) = members.get(name.as_str()) else {
                base.others.push(name);
                continue;
            };
            let folder = package.manifest_path.parent().unwrap_or(Path::new("."));
            for part in ["src", "bpf"] {
                *base.lines.entry(name.clone()).or_default() += lines_under(&folder.join(part))?;
            }
        }
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

/// Lines of code in a folder's Rust and C files, but for modules that only tests have. A folder that is not
/// there has none.
fn lines_under(folder: &Path) -> Result<usize, Failure> {
    if !folder.exists() {
        return Ok(0);
    }
    let (mut paths, mut lines, mut left_out) = (Vec::new(), Vec::new(), BTreeSet::new());
    files_under(folder, &mut paths)?;
    for path in paths {
        let counted = count(&std::fs::read_to_string(&path).map_err(Failure::file("read", &path))?);
        left_out.extend(counted.test_modules.iter().map(|module| place_of(&path).join(module)));
        lines.push((path, counted.lines));
    }
    let counts = |path: &Path| !path.ancestors().any(|part| left_out.contains(&part.with_extension("")));
    Ok(lines.into_iter().filter(|(path, _)| counts(path)).map(|(_, lines)| lines).sum())
}

fn files_under(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(Failure::file("read", folder))? {
        let path = entry.map_err(Failure::file("read", folder))?.path();
        if path.is_dir() {
            files_under(&path, found)?;
        } else if path.extension().is_some_and(|end| ["rs", "c", "h"].iter().any(|known| end == *known)) {
            found.push(path);
        }
    }
    Ok(())
}

/// The folder in which the modules of a file lie.
fn place_of(file: &Path) -> PathBuf {
    let parent = file.parent().unwrap_or(Path::new("."));
    match file.file_stem().and_then(|stem| stem.to_str()) {
        None | Some("lib" | "main" | "mod") => parent.to_owned(),
        Some(stem) => parent.join(stem),
    }
}

/// What a file holds.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counted {
    /// Lines with code on them that is not for tests alone.
    lines: usize,
    /// Modules for tests in files of their own.
    test_modules: Vec<String>,
}

/// Relies on the formatter: what begins on a line of its own ends on the next one that is indented as
/// deep and closes it.
fn count(text: &str) -> Counted {
    let mut counted = Counted::default();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            let item = lines.next().unwrap_or_default();
            let indent = &item[..item.len() - item.trim_start().len()];
            match item.trim().strip_suffix(';') {
                Some(module) => counted.test_modules.extend(module.rsplit(' ').next().map(str::to_owned)),
                None => _ = lines.find(|line| line.strip_prefix(indent) == Some("}")),
            }
        } else if !line.trim().is_empty() && !line.trim().starts_with("//") {
            counted.lines += 1;
        }
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_code_are_neither_blank_nor_comment_nor_test() {
        let text = "//! x\n#[cfg(test)]\nmod model;\n\nfn a() {\n    // y\n}\n\
                    #[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        assert_eq!(count(text), Counted { lines: 3, test_modules: vec!["model".to_owned()] });
    }

    #[test]
    fn the_text_form_reads_back() {
        let lines = BTreeMap::from([("id".to_owned(), 12), ("os".to_owned(), 30)]);
        let base = Base { lines, others: vec!["libc".to_owned()] };
        assert_eq!(Base::parse(&base.text()).unwrap(), base);
    }
}
