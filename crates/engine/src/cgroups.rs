//! The control groups of one engine: memory, processes, processor time. Both kinds of hierarchy, also mixed, as
//! machines have them: version 1 has one for each controller, version 2 one for all.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use os::folder::Folder;
use os::process::Process;
use thiserror::Error;

use crate::specification::Limits;

/// The longest of the kernel's files that is read.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const MIB: u64 = 1024 * 1024;
/// The span over which processor time is shared out, in microseconds.
const PERIOD: u32 = 100_000;

/// What is limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Controller {
    /// Memory.
    Memory,
    /// Processes and threads.
    Processes,
    /// Processor time.
    Cpu,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];

    /// The kernel's name.
    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a controller is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Home {
    /// Where its hierarchy is mounted.
    pub mount: PathBuf,
    /// Whether that is the hierarchy of all controllers (version 2).
    pub unified: bool,
}

/// What this machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout(BTreeMap<Controller, Home>);

/// Why an engine's limits do not hold.
#[derive(Debug, Error)]
pub enum NotLimited {
    /// The specification wants a limit that nothing here enforces.
    #[error("this machine cannot limit {0}")]
    Missing(Controller),
    /// The kernel refused.
    #[error("cannot {act}")]
    Kernel {
        /// What was tried.
        act: String,
        /// The kernel's reason.
        source: io::Error,
    },
    /// Processes of an earlier run do not end.
    #[error("processes of an earlier run do not end")]
    Lasting,
}

impl Layout {
    /// That of this machine.
    ///
    /// # Errors
    /// When `/proc` cannot be read.
    pub fn of_this_machine() -> io::Result<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
        Ok(Self::read(&mounts, |mount| std::fs::read_to_string(mount.join("cgroup.controllers"))))
    }

    /// What a list of mounts (`proc(5)`, mountinfo) says; `unified` gives the controllers of a version 2 mount.
    /// A controller that version 1 has, version 2 has not.
    pub fn read(mounts: &str, unified: impl Fn(&Path) -> io::Result<String>) -> Self {
        let mut homes = BTreeMap::new();
        for line in mounts.lines() {
            let Some((place, kind)) = line.split_once(" - ") else { continue };
            let Some(mount) = place.split(' ').nth(4).map(PathBuf::from) else { continue };
            let mut kind = kind.split(' ');
            let (system, options) = (kind.next().unwrap_or_default(), kind.nth(1).unwrap_or_default());
            let (list, unified) = match system {
                "cgroup" => (options.replace(',', " "), false),
                "cgroup2" => (unified(&mount).unwrap_or_default(), true),
                _ => continue,
            };
            for controller in Controller::ALL {
                if list.split_whitespace().any(|name| name == controller.name()) {
                    homes.entry(controller).or_insert(Home { mount: mount.clone(), unified });
                }
            }
        }
        Self(homes)
    }

    /// What this machine cannot limit.
    #[must_use]
    pub fn missing(&self) -> Vec<Controller> {
        Controller::ALL.into_iter().filter(|controller| !self.0.contains_key(controller)).collect()
    }

    /// Makes the groups of an engine at `path` below the root of each hierarchy, with its limits. What an earlier
    /// run left in them is killed first.
    ///
    /// # Errors
    /// See [`NotLimited`].
    pub fn make(&self, path: &[&str], limits: &Limits) -> Result<Groups, NotLimited> {
        let mut groups = Groups { folders: Vec::new(), memory: None };
        let wanted = [Controller::Memory, Controller::Processes];
        let wanted = wanted.into_iter().chain(limits.cpu_percent.map(|_| Controller::Cpu));
        for controller in wanted {
            let home = self.0.get(&controller).ok_or(NotLimited::Missing(controller))?;
            let index = groups.open(home, path)?;
            if controller == Controller::Memory {
                groups.memory = Some((index, home.unified));
            }
        }
        groups.kill_all()?;
        for (controller, home) in &self.0 {
            if let Some(group) = groups.folders.iter().find(|group| group.mount == home.mount) {
                limit(&group.folder, *controller, home.unified, limits)?;
            }
        }
        Ok(groups)
    }
}

impl Layout {
    /// The names of all groups right below a path, in whatever hierarchy.
    ///
    /// # Errors
    /// The kernel's; a path that is not there has none below.
    pub fn below(&self, path: &[&str]) -> io::Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for home in self.0.values() {
            let above = path.iter().fold(home.mount.clone(), |path, name| path.join(name));
            let entries = match std::fs::read_dir(above) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                entries => entries?,
            };
            for entry in entries {
                let entry = entry?;
                let name = entry.file_name().into_string().ok().filter(|_| entry.path().is_dir());
                found.extend(name);
            }
        }
        Ok(found)
    }

    /// Removes what is left of an engine's groups: they must be empty. What is not there is no error.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self, path: &[&str]) -> io::Result<()> {
        for home in self.0.values() {
            let group = path.iter().fold(home.mount.clone(), |path, name| path.join(name));
            match std::fs::remove_dir(&group) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

fn limit(folder: &Folder, controller: Controller, unified: bool, limits: &Limits) -> Result<(), NotLimited> {
    let memory = (u64::from(limits.memory_mib) * MIB).to_string();
    let processes = limits.processes.to_string();
    let quota = limits.cpu_percent.map(|percent| u64::from(percent) * u64::from(PERIOD) / 100);
    let tell = |name: &str, text: &str| {
        let act = || format!("write {text} to {name}");
        folder.tell(name, text).map_err(|source| NotLimited::Kernel { act: act(), source })
    };
    // Where the kernel does not count swap there is no such file, and swapped pages are not let in.
    let tell_if_there = |name: &str, text: &str| match tell(name, text) {
        Err(NotLimited::Kernel { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        told => told,
    };
    match (controller, unified) {
        (Controller::Memory, true) => {
            tell("memory.max", &memory)?;
            tell_if_there("memory.swap.max", "0")
        }
        (Controller::Memory, false) => {
            // A former, greater limit of both together must not stand in the way, nor a smaller one.
            tell_if_there("memory.memsw.limit_in_bytes", "-1")?;
            tell("memory.limit_in_bytes", &memory)?;
            tell_if_there("memory.memsw.limit_in_bytes", &memory)
        }
        (Controller::Processes, _) => tell("pids.max", &processes),
        (Controller::Cpu, unified) => {
            let Some(quota) = quota else { return Ok(()) };
            if unified {
                return tell("cpu.max", &format!("{quota} {PERIOD}"));
            }
            tell("cpu.cfs_period_us", &PERIOD.to_string())?;
            tell("cpu.cfs_quota_us", &quota.to_string())
        }
    }
}

/// The groups of one engine. They are held by descriptors: whoever has them needs no paths any more.
#[derive(Debug)]
pub struct Groups {
    folders: Vec<Group>,
    /// Which of them counts memory, and whether it is of version 2.
    memory: Option<(usize, bool)>,
}

#[derive(Debug)]
struct Group {
    mount: PathBuf,
    /// The folders above, from the root, each with the name of the one in it.
    above: Vec<(Folder, String)>,
    folder: Folder,
}

impl Groups {
    /// Puts a process into all of them; what it starts is in them, too.
    ///
    /// # Errors
    /// The kernel's.
    pub fn take_in(&self, process: u32) -> io::Result<()> {
        self.folders.iter().try_for_each(|group| group.folder.tell("cgroup.procs", &process.to_string()))
    }

    /// Whether the kernel has killed a process in them for memory: no exit status says that.
    ///
    /// # Errors
    /// The kernel's.
    pub fn ran_out_of_memory(&self) -> io::Result<bool> {
        let Some((index, unified)) = self.memory else { return Ok(false) };
        let Some(group) = self.folders.get(index) else { return Ok(false) };
        let file = if unified { "memory.events" } else { "memory.oom_control" };
        let text = group.folder.read(file, FILE_BYTES_MAX)?;
        let kills = text.lines().filter_map(|line| line.strip_prefix("oom_kill ")).next();
        Ok(kills.and_then(|kills| kills.trim().parse::<u64>().ok()).is_some_and(|kills| kills > 0))
    }

    /// Whether no process is in any of them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn are_empty(&self) -> io::Result<bool> {
        Ok(self.processes()?.is_empty())
    }

    /// Removes them; they must be empty.
    ///
    /// # Errors
    /// The kernel's.
    pub fn remove(&self) -> io::Result<()> {
        for group in &self.folders {
            let Some((above, name)) = group.above.last() else { continue };
            above.remove_folder(name)?;
        }
        Ok(())
    }

    fn processes(&self) -> io::Result<Vec<u32>> {
        let mut found = Vec::new();
        for group in &self.folders {
            let text = group.folder.read("cgroup.procs", FILE_BYTES_MAX)?;
            found.extend(text.lines().filter_map(|line| line.parse::<u32>().ok()));
        }
        Ok(found)
    }

    fn kill_all(&self) -> Result<(), NotLimited> {
        let failed = |source| NotLimited::Kernel { act: "end an earlier run".to_owned(), source };
        for _round in 0..100 {
            let left = self.processes().map_err(failed)?;
            if left.is_empty() {
                return Ok(());
            }
            for process in left {
                match Process::open(process) {
                    Ok(process) => {
                        process.kill().map_err(failed)?;
                        let wanted = [(process.ended(), os::poll::Wanted::READ)];
                        os::poll::wait(&wanted, Some(std::time::Duration::from_millis(100)))
                            .map_err(failed)?;
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(failed(error)),
                }
            }
        }
        Err(NotLimited::Lasting)
    }

    /// Opens the group in one hierarchy, making the folders on the way; gives its place in the list.
    fn open(&mut self, home: &Home, path: &[&str]) -> Result<usize, NotLimited> {
        if let Some(known) = self.folders.iter().position(|group| group.mount == home.mount) {
            return Ok(known);
        }
        let failed = |act: String| move |source| NotLimited::Kernel { act, source };
        let mount = home.mount.display();
        let mut here = Folder::open(&home.mount).map_err(failed(format!("open {mount}")))?;
        let mut above = Vec::new();
        for name in path {
            if home.unified {
                hand_down(&here).map_err(failed(format!("hand controllers down in {mount}")))?;
            }
            here.make(name, 0o755).map_err(failed(format!("make the control group {name} in {mount}")))?;
            let next = here.folder(name).map_err(failed(format!("open the control group {name}")))?;
            above.push((here, (*name).to_owned()));
            here = next;
        }
        self.folders.push(Group { mount: home.mount.clone(), above, folder: here });
        Ok(self.folders.len() - 1)
    }
}

/// What version 2 wants: a folder says which controllers those in it have.
fn hand_down(folder: &Folder) -> io::Result<()> {
    let has = folder.read("cgroup.controllers", FILE_BYTES_MAX)?;
    let given = folder.read("cgroup.subtree_control", FILE_BYTES_MAX)?;
    let listed = |list: &str, name: &str| list.split_whitespace().any(|known| known == name);
    for controller in Controller::ALL.map(Controller::name) {
        if listed(&has, controller) && !listed(&given, controller) {
            folder.tell("cgroup.subtree_control", &format!("+{controller}"))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION_1: &str = "\
30 25 0:26 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
31 25 0:27 / /sys/fs/cgroup/memory rw shared:7 - cgroup none rw,memory
32 25 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
33 25 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd
";
    const VERSION_2: &str = "40 25 0:30 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

    fn home(mount: &str, unified: bool) -> Home {
        Home { mount: mount.into(), unified }
    }

    #[test]
    fn each_kind_of_hierarchy_is_found() {
        let none = |_: &Path| Ok("hugetlb\n".to_owned());
        let all = |_: &Path| Ok("cpuset cpu io memory hugetlb pids rdma\n".to_owned());
        let first = Layout::read(VERSION_1, none);
        assert_eq!(first.0[&Controller::Memory], home("/sys/fs/cgroup/memory", false));
        assert_eq!(first.0[&Controller::Cpu], home("/sys/fs/cgroup/cpu,cpuacct", false));
        assert!(first.missing().is_empty());
        let hybrid = Layout::read(&format!("{VERSION_1}{VERSION_2}"), none);
        assert_eq!(hybrid, first);
        let second = Layout::read(VERSION_2, all);
        assert_eq!(second.0[&Controller::Processes], home("/sys/fs/cgroup", true));
        assert!(second.missing().is_empty());
    }

    #[test]
    fn what_a_machine_lacks_is_named_and_refused_where_it_is_wanted() {
        let some = |_: &Path| Ok("pids".to_owned());
        let layout = Layout::read(VERSION_2, some);
        assert_eq!(layout.missing(), [Controller::Memory, Controller::Cpu]);
        let limits = Limits { memory_mib: 64, processes: 8, cpu_percent: None };
        let refused = layout.make(&["leasehold-no-such"], &limits).unwrap_err();
        assert!(matches!(refused, NotLimited::Missing(Controller::Memory)));
        assert_eq!(Layout::read("nonsense\n1 2 - cgroup\n", some), Layout::default());
    }
}
