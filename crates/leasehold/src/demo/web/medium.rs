//! What lies of a volume on the medium, looked at with Debian's own tools.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lab::Failed;

use super::VOLUME;
use crate::demo::world::{TENANT_A, World};

/// A tenant's volume on a node: where its content shows, and all that lies of it on the medium.
pub(super) struct Medium {
    /// As the node's own programs see it.
    pub(super) open: PathBuf,
    pub(super) image: PathBuf,
    pub(super) device: PathBuf,
}

impl Medium {
    /// The first tenant's on the node at that place, after all that was written is on the medium.
    pub(super) fn of(world: &World<'_>, place: usize) -> Result<Self, Failed> {
        let act = |what: &str| Failed::new("look at a volume", what);
        let node = world.node(place)?;
        let folder = node.folder().join("volumes").join(world.standing(place, TENANT_A)?.tier.to_string());
        let entries = fs::read_dir(&folder).map_err(|error| Failed::new("list a tier's volumes", error))?;
        let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let image = paths.find(|path| path.extension().is_some_and(|extension| extension == "image"));
        let image = image.ok_or_else(|| act("there is no image"))?;
        let supervisor = node.processes()?.into_iter().find(|(role, _)| role == "supervisor");
        let (_, supervisor) = supervisor.ok_or_else(|| act("no supervisor runs"))?;
        let seen = folder.join(VOLUME);
        let seen = seen.strip_prefix("/").map_err(|error| Failed::new("look at a volume", error))?;
        let open = Path::new(&format!("/proc/{supervisor}/root")).join(seen);
        run("sync", &[])?;
        let device = device_of(&image).ok_or_else(|| act("no block device has its image"))?;
        Ok(Self { open, image, device })
    }

    pub(super) fn mib(&self) -> Result<u64, Failed> {
        let size = fs::metadata(&self.image).map_err(|error| Failed::new("look at an image", error))?.len();
        Ok(size / 1_048_576)
    }
}

/// The loop device whose file this is. The kernel tells the file's path as the node sees it.
pub(super) fn device_of(image: &Path) -> Option<PathBuf> {
    let own = image.display().to_string();
    let devices = fs::read_dir("/sys/block").ok()?.filter_map(Result::ok);
    let mut names = devices.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let has = |name: &String| {
        let file = fs::read_to_string(format!("/sys/block/{name}/loop/backing_file"));
        file.is_ok_and(|file| file.trim_end().ends_with(&own))
    };
    names.find(has).map(|name| Path::new("/dev").join(name))
}

/// Whether `grep` finds the word in a file, a device, or anything below a folder.
pub(super) fn finds(word: &str, place: &Path) -> Result<bool, Failed> {
    let mut grep = Command::new("grep");
    grep.args(["--text", "--quiet", "--fixed-strings", "--recursive", "--devices=read", "--regexp", word]);
    let ended = grep.arg(place).status().map_err(|error| Failed::new("run grep", error))?;
    match ended.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => Err(Failed::new(format!("search {}", place.display()), ended.to_string())),
    }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), Failed> {
    let ended = Command::new(program).args(arguments).status();
    let ended = ended.map_err(|error| Failed::new(format!("run {program}"), error))?;
    if ended.success() { Ok(()) } else { Err(Failed::new(format!("run {program}"), ended.to_string())) }
}
