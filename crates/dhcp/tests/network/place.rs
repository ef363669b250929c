//! One link with a few machines on it.

use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use lab::{Facility, Guard, Plan};
use os::link::{End, Links};
use os::namespace::Namespace;

/// Machines of their own for servers, at 10.0.0.2 and 10.0.0.3 on `eth0`.
pub(crate) const SERVERS: [&str; 2] = ["server", "other"];
/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Place {
    facility: Facility,
    _guard: Guard,
}

impl Place {
    pub(crate) fn new() -> Self {
        let random: [u8; 3] = os::random::bytes().unwrap();
        let prefix = format!("lh{:02x}{:02x}{:02x}", random[0], random[1], random[2]);
        let guard = Guard::start().unwrap();
        let facility = Facility::build(Plan::new(prefix, 0, &[]).with_consoles(&SERVERS), &guard).unwrap();
        Self { facility, _guard: guard }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.facility.folder()
    }

    pub(crate) fn machine(&self, name: &str) -> Namespace {
        self.facility.namespace(name).unwrap()
    }

    /// Plugs in a machine that has no address.
    pub(crate) fn plug(&self, name: &str) -> Namespace {
        let machine = Namespace::create(&self.facility.path_of(name)).unwrap();
        let end = |name, namespace| End { name, mac: None, namespace };
        let cable = self.machine("router").run(|| -> Result<(), os::Failed> {
            let mut links = Links::open()?;
            links.add_veth(end(name, None), end("eth0", Some(machine.as_fd())))?;
            links.set_master(name, "br0")?;
            links.set_up(name)
        });
        cable.unwrap().unwrap();
        machine.run(|| Links::open().and_then(|mut links| links.set_up("eth0"))).unwrap().unwrap();
        machine
    }

    /// Starts a program on a machine; its output is in a file of its name.
    pub(crate) fn start(&self, machine: &Namespace, command: &mut Command) -> Program {
        let program = Path::new(command.get_program()).file_name().unwrap().to_owned();
        let log =
            std::fs::OpenOptions::new().append(true).create(true).open(self.folder().join(program)).unwrap();
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Program { child: machine.run(|| command.spawn()).unwrap().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }
}

/// A program that ends with this.
pub(crate) struct Program {
    child: Child,
}

impl Program {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn kill(self) {
        drop(self);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let ended: io::Result<_> = self.child.kill().and_then(|()| self.child.wait());
        ended.unwrap();
    }
}

/// Looks until it is so.
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_or(what, look, String::new)
}

/// The same; `else_` says more about it where it never is.
pub(crate) fn eventually_or<T>(
    what: &str,
    mut look: impl FnMut() -> Option<T>,
    else_: impl FnOnce() -> String,
) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        if Instant::now() >= until {
            panic!("it never came to this: {what}\n{}", else_());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
