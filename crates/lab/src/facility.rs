//! A whole facility: router, bridge, outside client, nodes.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use os::link::{End, Links};
use os::mount;
use os::namespace::{self, Namespace};

use crate::console::Console;
use crate::failed::{Act, Failed};
use crate::guard::{Guard, Thing, undo};
use crate::host::Host;
use crate::node::Node;
use crate::plan::{ConsolePlan, INTERNET, NodePlan, Plan};

/// The bridge, in the router's and in each node's namespace.
const BRIDGE: &str = "br0";
/// A medium that is not the disk: it is in memory.
const MEDIUM: &str = "/dev/shm";
/// The router's address towards the outside client.
const OUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// A facility that runs. Dropping it ends its processes; its [`Guard`] takes the rest away.
#[derive(Debug)]
pub struct Facility {
    /// The outside client, at [`INTERNET`].
    pub internet: Host,
    nodes: Vec<Node>,
    consoles: Vec<Console>,
    names: PathBuf,
    folder: PathBuf,
    /// Where the nodes' key files are.
    medium: Option<PathBuf>,
    plan: Plan,
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
        prepare_names(&names, guard)?;
        guard.record(&Thing::Names { folder: names.clone(), prefix: plan.prefix.clone() })?;
        let router = make_router(&plan, &names)?;
        let internet = make_internet(&plan, &names, &folder, &router)?;
        let (nodes, consoles) = (Vec::new(), Vec::new());
        let medium =
            if plan.key_files { Some(own_folder(Path::new(MEDIUM), &plan.prefix, guard)?) } else { None };
        let mut facility = Self { internet, nodes, consoles, names, folder, medium, plan };
        for planned in &facility.plan.consoles {
            let console = facility.make_console(planned, &router)?;
            facility.consoles.push(console);
        }
        for place in 0..facility.plan.nodes.len() {
            let node = facility.make_node(place, &router, guard)?;
            facility.nodes.push(node);
        }
        Ok(facility)
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
        &self.plan
    }

    /// Puts another `enrolment.json` into a node's configuration, before its first start.
    ///
    /// # Errors
    /// When there is no such node, or the file cannot be written.
    pub fn enrol(&mut self, place: usize, enrolment: String) -> Result<(), Failed> {
        let act = || format!("enrol node number {place}");
        let node = self.plan.nodes.get_mut(place).ok_or("it is not planned").act(act)?;
        node.enrolment = enrolment;
        let path = Node::configuration_in(&self.folder.join(&node.name)).join("enrolment.json");
        fs::write(path, &node.enrolment).act(act)
    }

    /// Where its files are; anything put here goes with it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The network namespace called `PREFIX-name`.
    ///
    /// # Errors
    /// When there is none.
    pub fn namespace(&self, name: &str) -> Result<Namespace, Failed> {
        Namespace::open(&self.path_of(name)).act(|| format!("find the namespace of {name:?}"))
    }

    /// Where the network namespace called `PREFIX-name` is named.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.names.join(format!("{}-{name}", self.plan.prefix))
    }

    /// Turns a node's power off: its processes end, its links and realms are gone, its disk stays.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn power_off(&mut self, place: usize) -> Result<(), Failed> {
        let node = self.nodes.get_mut(place).ok_or("there is no such node").act(|| "power off".to_owned())?;
        node.power_off()?;
        let prefix = format!("{}-{}", self.plan.prefix, node.name());
        let (port, pins) = (node.name().to_owned(), node.pins());
        // A namespace whose last name goes ends some time later; the cable shall be free at once.
        let unplugged =
            self.namespace("router")?.run(|| Links::open().and_then(|mut links| links.delete(&port)));
        unplugged.and_then(|unplugged| unplugged).act(|| format!("unplug {port:?}"))?;
        undo::undo(&Thing::Names { folder: self.names.clone(), prefix })?;
        undo::undo(&Thing::Mount(pins))
    }

    /// Turns it on again.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn power_on(&mut self, place: usize, guard: &Guard) -> Result<(), Failed> {
        let _making = guard.making()?;
        let router = self.namespace("router")?;
        let node = self.make_node(place, &router, guard)?;
        let slot = self.nodes.get_mut(place).ok_or("there is no such node").act(|| "power on".to_owned())?;
        *slot = node;
        Ok(())
    }

    fn make_console(&self, planned: &ConsolePlan, router: &Namespace) -> Result<Console, Failed> {
        let act = || format!("make the console {:?}", planned.name);
        let path = self.path_of(&planned.name);
        let namespace = Namespace::create(&path).act(act)?;
        plug(router, &planned.name, &namespace, "eth0").act(act)?;
        let wired = namespace.run(|| -> Result<(), os::Failed> {
            let mut links = Links::open()?;
            links.add_address("eth0", planned.address.into(), 16)?;
            links.set_up("lo")?;
            links.set_up("eth0")
        });
        wired.and_then(|wired| wired).act(act)?;
        let home = self.folder.join(&planned.name);
        fs::create_dir(&home).act(act)?;
        fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).act(act)?;
        Ok(Console::new(planned, &path, &home, self.plan.leasehold.as_deref()))
    }

    fn make_node(&self, place: usize, router: &Namespace, guard: &Guard) -> Result<Node, Failed> {
        let act = || format!("make node number {place}");
        let planned = self.plan.nodes.get(place).ok_or("it is not planned").act(act)?;
        let address = Plan::management(place);
        let path = self.path_of(&planned.name);
        let namespace = Namespace::create(&path).act(act)?;
        plug(router, &planned.name, &namespace, "uplink").act(act)?;
        let own = (!self.plan.dhcp).then_some(address.into());
        namespace.run(|| wire_node(own)).and_then(|wired| wired).act(act)?;
        let folder = self.folder.join(&planned.name);
        let pins = Node::pins_in(&folder);
        fs::create_dir_all(&pins).act(act)?;
        guard.record(&Thing::Mount(pins.clone()))?;
        mount::bpffs(&pins).act(act)?;
        let key_file = self.medium.as_ref().map(|medium| medium.join(format!("{}.key", planned.name)));
        write_configuration(&self.plan, planned, address, &folder, &self.names, key_file.as_deref())
            .act(act)?;
        Node::power_on(&planned.name, &path, &folder, self.plan.bmonitor.as_deref())
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

/// Makes the folder where network namespaces are named, shared with the mount namespaces of the nodes.
fn prepare_names(names: &Path, guard: &Guard) -> Result<(), Failed> {
    let act = || format!("prepare {}", names.display());
    if !names.exists() {
        guard.record(&Thing::EmptyFolder(names.to_owned()))?;
        fs::create_dir(names).act(act)?;
    }
    if !mount::is_shared(names).act(act)? {
        guard.record(&Thing::EmptyMount(names.to_owned()))?;
        mount::shared_folder(names).act(act)?;
    }
    Ok(())
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

/// A cable from the router's bridge into another namespace.
fn plug(router: &Namespace, port: &str, namespace: &Namespace, name: &str) -> Result<(), os::Failed> {
    router
        .run(|| {
            let mut links = Links::open()?;
            let near = End { name: port, mac: None, namespace: None };
            links.add_veth(near, End { name, mac: None, namespace: Some(namespace.as_fd()) })?;
            links.set_master(port, BRIDGE)?;
            links.set_up(port)
        })
        .and_then(|plugged| plugged)
}

/// In a node's namespace: its bridge, with its own address if it has one already, and the uplink as its first port.
fn wire_node(address: Option<IpAddr>) -> Result<(), os::Failed> {
    let mut links = Links::open()?;
    links.add_bridge(BRIDGE)?;
    links.set_master("uplink", BRIDGE)?;
    if let Some(address) = address {
        links.add_address(BRIDGE, address, 16)?;
    }
    for name in ["lo", "uplink", BRIDGE] {
        links.set_up(name)?;
    }
    Ok(())
}

/// `bmonitor.toml` and `enrolment.json`, in the node's configuration folder. What a node wrote there
/// itself while it was powered stays.
fn write_configuration(
    plan: &Plan,
    node: &NodePlan,
    management: Ipv4Addr,
    folder: &Path,
    names: &Path,
    key_file: Option<&Path>,
) -> std::io::Result<()> {
    let configuration = Node::configuration_in(folder);
    for folder in [configuration.clone(), folder.join("state"), folder.join("run"), folder.join("orders")] {
        fs::create_dir_all(folder)?;
    }
    let mut text = format!(
        "version = 1\nname = \"{name}\"\nstate = \"{at}/state\"\nrun = \"{at}/run\"\npins = \"{pins}\"\n\
         namespaces = \"{names}\"\nprefix = \"{prefix}-{name}\"\nbridge = \"{BRIDGE}\"\n\
         {own}\n",
        name = node.name,
        at = folder.display(),
        pins = Node::pins_in(folder).display(),
        names = names.display(),
        prefix = plan.prefix,
        own = if plan.dhcp { "dhcp = true".to_owned() } else { format!("management = [\"{management}\"]") },
    );
    for realm in &node.realms {
        text += &format!(
            "\n[[realm]]\ntier = \"{}\"\naddress = [\"{}/16\"]\ngateway = [\"{}\"]\n",
            realm.tier,
            realm.address,
            realm.gateway()
        );
    }
    if let Some(key_file) = key_file {
        text += &format!("\n[custody]\nkey_file = \"{}\"\n", key_file.display());
    }
    fs::write(configuration.join("bmonitor.toml"), text)?;
    fs::write(configuration.join("enrolment.json"), &node.enrolment)
}
