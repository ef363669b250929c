//! Mounts: the few kinds that a node and its lab need.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};

use crate::failed::{Act, Failed};

/// Mounts a new bpffs instance at `target`, a folder that is there. Only root may enter it.
///
/// Objects pinned in it live as long as the mount does in some mount namespace: one that outlives
/// every process that relies on the pins.
///
/// # Errors
/// When the kernel refuses.
pub fn bpffs(target: &Path) -> Result<(), Failed> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", target, flags, "mode=0700")
}

/// Mounts an empty file system in memory of at most `bytes_max` at `target`.
///
/// # Errors
/// When the kernel refuses.
pub fn tmpfs(target: &Path, bytes_max: u64) -> Result<(), Failed> {
    mount("tmpfs", target, MountFlags::NOSUID | MountFlags::NODEV, &format!("mode=0700,size={bytes_max}"))
}

/// Mounts the ext4 file system on a block device at `target`. Nothing on it is a device, and nothing gains rights by
/// being run.
///
/// # Errors
/// When the kernel refuses.
pub fn ext4(device: &Path, target: &Path) -> Result<(), Failed> {
    let act = || format!("mount {} at {}", device.display(), target.display());
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount(device, target, "ext4", flags, None).act(act)
}

/// Gives the calling thread, and all that it starts, a mount namespace of its own: what is mounted in folders made
/// private there ([`private_folder`]) shows nowhere else. To be called while there is one thread alone.
///
/// # Errors
/// When the kernel refuses.
pub fn own_namespace() -> Result<(), Failed> {
    // SAFETY: a mount namespace of its own changes what paths mean, and no descriptor or memory of this process.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .act(|| "leave the mount namespace".to_owned())
}

/// Makes `folder` a mount of itself of which no other mount namespace hears.
///
/// # Errors
/// When the kernel refuses.
pub fn private_folder(folder: &Path) -> Result<(), Failed> {
    rustix::mount::mount_bind(folder, folder).act(|| format!("bind {} to itself", folder.display()))?;
    propagation(folder, MountPropagationFlags::PRIVATE)
}

/// Mounts the process list of the calling thread's pid namespace at `/proc`, in a mount namespace
/// made for the purpose: the propagation of the `/proc` below is cut first.
///
/// # Errors
/// When the kernel refuses.
pub fn own_proc() -> Result<(), Failed> {
    let target = Path::new("/proc");
    propagation(target, MountPropagationFlags::PRIVATE)?;
    mount("proc", target, MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, "")
}

/// Cuts all propagation between this mount namespace and others: nothing mounted here shows elsewhere.
///
/// # Errors
/// When the kernel refuses.
pub fn private_everywhere() -> Result<(), Failed> {
    propagation(Path::new("/"), MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
}

/// Makes `folder` a mount of itself whose mounts show in every mount namespace copied from this one,
/// as `ip netns` does with its folder.
///
/// # Errors
/// When the kernel refuses.
pub fn shared_folder(folder: &Path) -> Result<(), Failed> {
    rustix::mount::mount_bind(folder, folder).act(|| format!("bind {} to itself", folder.display()))?;
    propagation(folder, MountPropagationFlags::SHARED)
}

/// Shows the file or folder `source` at `target`, too.
///
/// # Errors
/// When the kernel refuses.
pub fn bind(source: &Path, target: &Path) -> Result<(), Failed> {
    rustix::mount::mount_bind(source, target)
        .act(|| format!("bind {} to {}", source.display(), target.display()))
}

/// Shows `source` at `target`, too, where it neither gives anybody another's rights nor is a device; with
/// `read_only`, nothing is written through it.
///
/// # Errors
/// When the kernel refuses.
pub fn bind_plain(source: &Path, target: &Path, read_only: bool) -> Result<(), Failed> {
    bind(source, target)?;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let flags = if read_only { flags | MountFlags::RDONLY } else { flags };
    rustix::mount::mount_remount(target, MountFlags::BIND | flags, c"")
        .act(|| format!("restrict the mount {}", target.display()))
}

/// An empty file system in memory for one user's work.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Its bytes.
    pub bytes_max: u64,
    /// Its files.
    pub files_max: u64,
    /// The mode of its root.
    pub mode: u32,
    /// Whether programs in it may be executed.
    pub programs: bool,
}

/// Mounts such a file system.
///
/// # Errors
/// When the kernel refuses.
pub fn memory(target: &Path, memory: Memory) -> Result<(), Failed> {
    let Memory { bytes_max, files_max, mode, programs } = memory;
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let flags = if programs { flags } else { flags | MountFlags::NOEXEC };
    mount("tmpfs", target, flags, &format!("mode={mode:o},size={bytes_max},nr_inodes={files_max}"))
}

/// Lets nothing be written through the mount at `target` any more, and keeps it free of devices and of others'
/// rights.
///
/// # Errors
/// When the kernel refuses.
pub fn close(target: &Path) -> Result<(), Failed> {
    let flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    rustix::mount::mount_remount(target, flags, c"")
        .act(|| format!("restrict the mount {}", target.display()))
}

/// Mounts the processes of the calling process's pid namespace at `target`, and nothing else of `/proc`.
///
/// # Errors
/// When the kernel refuses.
pub fn processes(target: &Path) -> Result<(), Failed> {
    mount("proc", target, MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, "subset=pid")
}

/// Makes `root`, a mount of the calling process's own mount namespace, all that this namespace has: every
/// other mount goes from it. The process is in the new root afterwards.
///
/// # Errors
/// When the kernel refuses.
pub fn leave_all_but(root: &Path) -> Result<(), Failed> {
    let act = || format!("make {} the root", root.display());
    rustix::process::chdir(root).act(act)?;
    // The old root comes to lie over the new one, and goes (pivot_root(2), "pivot_root(\".\", \".\")").
    rustix::process::pivot_root(".", ".").act(act)?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).act(act)?;
    rustix::process::chdir("/").act(act)
}

/// Takes away the topmost mount at `target`, at once for new users, for present ones when they leave.
///
/// # Errors
/// When nothing is mounted there, or the kernel refuses.
pub fn unmount(target: &Path) -> Result<(), Failed> {
    rustix::mount::unmount(target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .act(|| format!("unmount {}", target.display()))
}

/// Whether something is mounted at `path`.
///
/// # Errors
/// When the list of mounts cannot be read.
pub fn is_mounted(path: &Path) -> Result<bool, Failed> {
    Ok(targets()?.iter().any(|target| target == path))
}

/// Whether what is mounted under `path` shows in copies of this mount namespace, too.
///
/// # Errors
/// When the list of mounts cannot be read.
pub fn is_shared(path: &Path) -> Result<bool, Failed> {
    let list = mountinfo()?;
    let holder = list
        .lines()
        .filter_map(|line| Some((unescaped(line.split(' ').nth(4)?), line)))
        .filter(|(target, _)| path.starts_with(target))
        .max_by_key(|(target, _)| target.components().count());
    // The optional fields end with a single `-` (proc(5)).
    Ok(holder.is_some_and(|(_, line)| {
        line.split(' ').skip(6).take_while(|field| *field != "-").any(|field| field.starts_with("shared:"))
    }))
}

/// Where something is mounted in this mount namespace, in the order of mounting.
///
/// # Errors
/// When the list of mounts cannot be read.
pub fn targets() -> Result<Vec<PathBuf>, Failed> {
    Ok(mountinfo()?.lines().filter_map(|line| line.split(' ').nth(4)).map(unescaped).collect())
}

fn mountinfo() -> Result<String, Failed> {
    fs::read_to_string("/proc/thread-self/mountinfo").act(|| "read the list of mounts".to_owned())
}

/// The device and inode of a file: what tells two mounts at one path apart.
///
/// # Errors
/// When there is no such file.
pub fn identity(path: &Path) -> Result<(u64, u64), Failed> {
    let metadata = fs::metadata(path).act(|| format!("look at {}", path.display()))?;
    Ok((metadata.dev(), metadata.ino()))
}

fn mount(kind: &str, target: &Path, flags: MountFlags, options: &str) -> Result<(), Failed> {
    let act = || format!("mount {kind} at {}", target.display());
    let options = CString::new(options).map_err(io::Error::other).act(act)?;
    rustix::mount::mount(kind, target, kind, flags, options.as_c_str()).act(act)
}

fn propagation(target: &Path, flags: MountPropagationFlags) -> Result<(), Failed> {
    rustix::mount::mount_change(target, flags)
        .act(|| format!("change the propagation of {}", target.display()))
}

/// A path in mountinfo has blanks and backslashes as three octal digits (proc(5)).
fn unescaped(text: &str) -> PathBuf {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (code, part.get(3..)) {
            (Some(code), Some(rest)) => {
                out.push(char::from(code));
                out.push_str(rest);
            }
            (None, _) | (_, None) => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    PathBuf::from(out)
}

#[cfg(test)]
mod tests {
    use super::unescaped;
    use std::path::Path;

    #[test]
    fn blanks_in_paths() {
        assert_eq!(unescaped("/a\\040b\\134c"), Path::new("/a b\\c"));
        assert_eq!(unescaped("/plain"), Path::new("/plain"));
        assert_eq!(unescaped("/odd\\9"), Path::new("/odd\\9"));
    }
}
