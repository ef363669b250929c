//! Debian 12's kernel, out of its package: downloaded by apt once for each version, and kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{output_of, run};
use crate::failure::Failure;

/// The package that always depends on the newest.
const NEWEST: &str = "linux-image-amd64";
const SERIES: &str = "linux-image-6.1.";
/// What nodes need of the modules, in the order in which they are loaded.
const MODULES: [&str; 6] = [
    "kernel/net/llc/llc.ko",
    "kernel/net/802/stp.ko",
    "kernel/net/bridge/bridge.ko",
    "kernel/drivers/net/veth.ko",
    "kernel/net/sched/sch_ingress.ko",
    "kernel/net/sched/cls_bpf.ko",
];

/// A kernel, ready to be booted.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// Package and version.
    pub(crate) version: String,
    /// What the boot loader loads.
    pub(crate) image: PathBuf,
    /// In the order of loading.
    pub(crate) modules: Vec<PathBuf>,
}

impl Kernel {
    /// The newest kernel of Debian 12, kept in `folder`.
    pub(crate) fn cached(folder: &Path) -> Result<Self, Failure> {
        let (package, version) = match newest()? {
            Some(newest) => newest,
            None => {
                run(Command::new("apt-get").args(["update", "--quiet=2"]))?;
                newest()?.ok_or_else(|| Failure::Form {
                    what: "the configuration of apt".to_owned(),
                    reason: format!("its newest {NEWEST} is no Debian 12's {SERIES}*"),
                })?
            }
        };
        let kept = folder.join(format!("{package}_{version}"));
        if !kept.exists() {
            unpack(folder, &package, &version, &kept)?;
        }
        let release = package.trim_start_matches("linux-image-");
        Ok(Self {
            version: format!("{package} {version}"),
            image: kept.join(format!("boot/vmlinuz-{release}")),
            modules: MODULES.map(|module| kept.join(format!("lib/modules/{release}/{module}"))).to_vec(),
        })
    }
}

/// Package and version of the newest kernel, as far as apt knows.
fn newest() -> Result<Option<(String, String)>, Failure> {
    let mut command = Command::new("apt-cache");
    // With no list of packages at all it fails; that is an answer, too.
    let Ok(text) = output_of(command.args(["--no-all-versions", "show", NEWEST])) else { return Ok(None) };
    Ok(text.lines().find_map(|line| line.strip_prefix("Depends: ")).and_then(depends))
}

/// From `linux-image-6.1.0-56-amd64 (= 6.1.192-2)`.
fn depends(text: &str) -> Option<(String, String)> {
    let (package, rest) = text.split_once(' ')?;
    let version = rest.strip_prefix("(= ")?.split(')').next()?;
    package.starts_with(SERIES).then(|| (package.to_owned(), version.to_owned()))
}

/// Downloads the package and takes out of it what is needed. `kept` is there whole or not at all.
fn unpack(folder: &Path, package: &str, version: &str, kept: &Path) -> Result<(), Failure> {
    let work = folder.join("unpacking");
    if work.exists() {
        fs::remove_dir_all(&work).map_err(Failure::file("remove", &work))?;
    }
    fs::create_dir_all(&work).map_err(Failure::file("create", &work))?;
    let mut download = Command::new("apt-get");
    download.args(["download", "--quiet=2", &format!("{package}={version}")]).current_dir(&work);
    // As root it would become another user, who may not write here, and complain.
    run(download.args(["-o", "APT::Sandbox::User=root"]))?;
    let modules = MODULES.map(|module| format!("'./lib/modules/*/{module}'")).join(" ");
    let script = format!(
        "set -euo pipefail; dpkg-deb --fsys-tarfile *.deb | tar -x --wildcards './boot/vmlinuz-*' {modules}; rm *.deb"
    );
    run(Command::new("bash").args(["-c", &script]).current_dir(&work))?;
    fs::rename(&work, kept).map_err(Failure::file("rename", &work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_kernel_is_what_the_newest_package_depends_on() {
        let told = Some(("linux-image-6.1.0-56-amd64".to_owned(), "6.1.192-2".to_owned()));
        assert_eq!(depends("linux-image-6.1.0-56-amd64 (= 6.1.192-2)"), told);
        assert_eq!(depends("linux-image-6.12.48-amd64 (= 6.12.48-1)"), None);
    }
}
