//! A whole facility: router, bridge, outside client, nodes.

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use id::TierId;
use os::link::{End, Links};
use os::namespace::{self, Namespace};

use crate::console::Console;
use crate::failed::{Act, Failed};
use crate::guard::{Guard, Thing, undo};
use crate::host::Host;
use crate::names;
use crate::node::{Node, Slot};
use crate::plan::{INTERNET, Plan};
use crate::power::PowerPort;
use crate::role::Role;
use crate::secrets::{self, Secrets, VolumeLock};
use crate::site::{BRIDGE, Site, control_group};

/// A medium that is not the disk: it is in memory.
pub(crate) const MEDIUM: &str = "/dev/shm";
/// The router's address towards the outside client.
const OUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// A facility that runs. Dropping it ends its processes; its [`Guard`] takes the rest away.
#[derive(Debug)]
pub struct Facility {
    /// Before the nodes: it acts on them until it is dropped.
    power_port: Option<PowerPort>,
    /// The outside client, at [`INTERNET`].
    pub internet: Host,
    nodes: Vec<Node>,
    consoles: Vec<Console>,
    site: Arc<Site>,
}

/// Lines of each log that a trial which fails shows.
const SHOWN_LINES: usize = 60;

impl Drop for Facility {
    /// A trial that fails takes its facility with it: what was written there is shown before.
    fn drop(&mut self) {
        if std::thread::panicking() {
            let nodes = self.nodes.iter().map(|node| (node.name(), node.log()));
            let consoles = self.consoles.iter().map(|console| (console.name(), console.log()));
            for (name, log) in nodes.chain(consoles) {
                let lines: Vec<&str> = log.lines().collect();
                let last = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
                crate::role::show(&format!("the log of {name:?}"), &last.join("\n"));
            }
        }
    }
}

impl Facility {
    /// Builds the facility and powers its nodes on. Nothing runs on them yet.
    ///
    /// # Errors
    /// When one with the same prefix is there already, or the kernel refuses something. The guard
    /// knows what was made by then.
    pub fn build(plan: Plan, guard: &Guard) -> Result<Self, Failed> {
        let _making = guard.making()?;
        let folder = own_folder(&std::env::temp_dir(), &plan.prefix, guard)?;
        let names = if plan.visible { PathBuf::from(namespace::FOLDER) } else { folder.join("netns") };
        if let Some(taken) = undo::named(&names, &plan.prefix)?.first() {
            let act = format!("make the facility {:?}", plan.prefix);
            return Err(Failed::new(act, format!("{} is there: another one runs", taken.display())));
        }
        let held = names::prepare(&names, guard)?;
        // Before the names: groups go after all that lives in them.
        for node in &plan.nodes {
            guard.record(&Thing::ControlGroups(control_group(&plan, node)))?;
        }
        guard.record(&Thing::Names { folder: names.clone(), prefix: plan.prefix.clone() })?;
        let router = make_router(&plan, &names)?;
        drop(held);
        let internet = make_internet(&plan, &names, &folder, &router)?;
        let medium =
            if plan.key_files { Some(own_folder(Path::new(MEDIUM), &plan.prefix, guard)?) } else { None };
        let site = Arc::new(Site { names, folder, medium, plan, guard: guard.handle() });
        let consoles = site.plan.consoles.iter().map(|planned| site.make_console(planned, &router));
        let consoles = consoles.collect::<Result<Vec<_>, _>>()?;
        let mut nodes = Vec::new();
        for (place, planned) in site.plan.nodes.iter().enumerate() {
            let bmonitor = site.plan.bmonitor.as_deref();
            let node = Node::new(&planned.name, &site.folder.join(&planned.name), bmonitor);
            site.power_on(place, &node.slot())?;
            nodes.push(node);
        }
        let port = |password: &str| PowerPort::open(Arc::clone(&site), &nodes, &router, password);
        let power_port = site.plan.power.as_deref().map(port).transpose()?;
        Ok(Self { power_port, internet, nodes, consoles, site })
    }

    /// The nodes, in the order of the plan.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The same, to act on them.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The consoles, in the order of the plan.
    #[must_use]
    pub fn consoles(&self) -> &[Console] {
        &self.consoles
    }

    /// The same, to start and stop them.
    pub fn consoles_mut(&mut self) -> &mut [Console] {
        &mut self.consoles
    }

    /// The plan that it was built from.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.site.plan
    }

    /// Where the nodes' power is turned on and off from a console, if the plan has it.
    #[must_use]
    pub const fn power_port(&self) -> Option<&PowerPort> {
        self.power_port.as_ref()
    }

    /// Puts another `enrolment.json` into a node's configuration, before its first start.
    ///
    /// # Errors
    /// When there is no such node, or the file cannot be written.
    pub fn enrol(&self, place: usize, enrolment: &str) -> Result<(), Failed> {
        let act = || format!("enrol node number {place}");
        let node = self.nodes.get(place).ok_or("there is no such node").act(act)?;
        fs::write(node.configuration().join("enrolment.json"), enrolment).act(act)
    }

    /// Where its files are; anything put here goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.site.folder
    }

    /// The network namespace called `PREFIX-name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn namespace(&self, name: &str) -> Result<Namespace, Failed> {
        self.site.namespace(name)
    }

    /// Where the network namespace called `PREFIX-name` is named.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.site.path_of(name)
    }

    /// A program that is to run in the network namespace called `PREFIX-name`, to be started by the caller. The
    /// guard ends it with the facility.
    #[must_use]
    pub fn command_at(&self, name: &str, program: &Path) -> Command {
        let mut command = Role::Enter.command();
        command.arg(self.path_of(name)).arg(program);
        command
    }

    /// Turns a node's power off: its processes end, its links and realms are gone, its disk stays.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn power_off(&self, place: usize) -> Result<(), Failed> {
        self.site.power_off(place, &self.slot(place)?)
    }

    /// Turns it on again. Nothing runs on it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn power_on(&self, place: usize) -> Result<(), Failed> {
        let slot = self.slot(place)?;
        let _making = self.site.guard.making()?;
        self.site.power_on(place, &slot)
    }

    /// All secrets in a node's custody.
    ///
    /// # Errors
    /// When its store is not open to who has the machine.
    pub fn secrets_of(&self, place: usize) -> Result<Secrets, Failed> {
        let (folder, key_file) = self.custody(place)?;
        secrets::secrets_of(&folder, key_file.as_deref())
    }

    /// What wraps the data key of a tier's only volume on a node.
    ///
    /// # Errors
    /// When there is none.
    pub fn volume_lock(&self, place: usize, tier: TierId) -> Result<VolumeLock, Failed> {
        let (folder, key_file) = self.custody(place)?;
        secrets::volume_lock(&folder, key_file.as_deref(), tier)
    }

    /// Custody's folder, and what locks it.
    fn custody(&self, place: usize) -> Result<(PathBuf, Option<PathBuf>), Failed> {
        let node = self.nodes.get(place).ok_or("there is no such node");
        let node = node.act(|| "look into custody".to_owned())?;
        let key_file = self.site.medium.as_ref().map(|medium| medium.join(format!("{}.key", node.name())));
        Ok((node.folder().join("state/custody"), key_file))
    }

    fn slot(&self, place: usize) -> Result<Slot, Failed> {
        let node = self.nodes.get(place).ok_or("there is no such node");
        node.map(Node::slot).act(|| "turn power on or off".to_owned())
    }
}

/// A new folder in one of the machine's, whose parents let every uid through.
fn own_folder(parent: &Path, prefix: &str, guard: &Guard) -> Result<PathBuf, Failed> {
    let act = || "make a folder for the facility".to_owned();
    let random = u64::from_ne_bytes(os::random::bytes().act(act)?);
    // Short: the path of a unix socket in it has at most 107 bytes (unix(7)).
    let folder = parent.join(format!("{prefix}-{:08x}", random >> 32));
    guard.record(&Thing::Folder(folder.clone()))?;
    fs::create_dir(&folder).act(act)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o711)).act(act)?;
    Ok(folder)
}

/// Whether a folder's name is as [`own_folder`] makes them.
pub(crate) fn is_facility(name: &OsStr) -> bool {
    let random = name.to_str().and_then(|name| name.rsplit_once('-')).map(|(_prefix, random)| random);
    random.is_some_and(|random| random.len() == 8 && random.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn make_router(plan: &Plan, names: &Path) -> Result<Namespace, Failed> {
    let act = || "make the facility's router".to_owned();
    let router = Namespace::create(&names.join(format!("{}-router", plan.prefix))).act(act)?;
    let wired = router.run(|| -> Result<(), Failed> {
        let mut links = Links::open().act(act)?;
        links.add_bridge(BRIDGE).act(act)?;
        for gateway in plan.gateways() {
            links.add_address(BRIDGE, gateway.into(), 16).act(act)?;
        }
        links.set_up(BRIDGE).act(act)?;
        links.set_up("lo").act(act)?;
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").act(act)
    });
    wired.act(act)??;
    Ok(router)
}

fn make_internet(plan: &Plan, names: &Path, folder: &Path, router: &Namespace) -> Result<Host, Failed> {
    let act = || "make the outside client".to_owned();
    let path = names.join(format!("{}-internet", plan.prefix));
    let namespace = Namespace::create(&path).act(act)?;
    let cabled = router.run(|| -> Result<(), os::Failed> {
        let mut links = Links::open()?;
        let near = End { name: "internet", mac: None, namespace: None };
        links.add_veth(near, End { name: "eth0", mac: None, namespace: Some(namespace.as_fd()) })?;
        links.add_address("internet", OUTER, 24)?;
        links.set_up("internet")
    });
    cabled.and_then(|cabled| cabled).act(act)?;
    let addressed = namespace.run(|| -> Result<(), os::Failed> {
        let mut links = Links::open()?;
        links.add_address("eth0", INTERNET, 24)?;
        links.set_up("lo")?;
        links.set_up("eth0")?;
        links.add_default_route(OUTER)
    });
    addressed.and_then(|addressed| addressed).act(act)?;
    Host::start_here("internet", &path, folder)
}
