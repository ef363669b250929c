//! What `cargo metadata` says: the workspace's place, its packages, and who depends on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::command::output_of;
use crate::failure::Failure;

/// The workspace and everything that it links.
#[derive(Debug, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
    workspace_members: Vec<String>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

/// One package, ours or another's.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
}

/// A line of a manifest.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `None` for an ordinary dependency, else `dev` or `build`.
    pub(crate) kind: Option<String>,
    /// Set when the dependency is a folder: then it is ours.
    pub(crate) path: Option<PathBuf>,
}

impl Workspace {
    /// Asks cargo about the workspace that this program belongs to, for the platform it runs on.
    pub(crate) fn load() -> Result<Self, Failure> {
        Self::load_at(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")))
    }

    fn load_at(root: &Path) -> Result<Self, Failure> {
        let mut command = Command::new("cargo");
        command.args(["metadata", "--locked", "--format-version", "1", "--filter-platform"]);
        let text = output_of(command.arg(host_platform()?).current_dir(root))?;
        serde_json::from_str(&text)
            .map_err(|error| Failure::Form { what: "cargo metadata".to_owned(), reason: error.to_string() })
    }

    /// Our own packages, by name.
    pub(crate) fn members(&self) -> BTreeMap<&str, &Package> {
        let ours = self.packages.iter().filter(|package| self.workspace_members.contains(&package.id));
        ours.map(|package| (package.name.as_str(), package)).collect()
    }

    /// The names of all crates that the program of `package` links, with the features that it has when it
    /// is built alone: `cargo metadata` would add what only tests and neighbours switch on. Build scripts'
    /// and tests' dependencies are not in it.
    pub(crate) fn linked_by(&self, package: &str) -> Result<BTreeSet<String>, Failure> {
        let mut command = Command::new("cargo");
        command.args(["tree", "--locked", "--edges", "normal", "--prefix", "none", "--format", "{p}"]);
        let text = output_of(command.args(["--package", package]).current_dir(&self.workspace_root))?;
        Ok(text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// A file of the workspace, read whole.
    pub(crate) fn read(&self, path: &str) -> Result<String, Failure> {
        let path = self.workspace_root.join(path);
        std::fs::read_to_string(&path).map_err(Failure::file("read", path))
    }
}

/// The platform triple of this compiler, e.g. `x86_64-unknown-linux-gnu`.
pub(crate) fn host_platform() -> Result<String, Failure> {
    let text = output_of(Command::new("rustc").arg("-vV"))?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .ok_or_else(|| Failure::Form { what: "rustc -vV".to_owned(), reason: "no host line".to_owned() })
}
