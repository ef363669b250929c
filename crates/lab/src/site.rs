//! Where a facility's parts are made, and how: what is needed to turn a node off and on again.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use os::link::{End, Links};
use os::mount;
use os::namespace::Namespace;

use crate::console::Console;
use crate::failed::{Act, Failed};
use crate::guard::{Handle, Thing, undo};
use crate::node::{Node, Slot};
use crate::plan::{ConsolePlan, NodePlan, Plan};

/// The bridge, in the router's and in each node's namespace.
pub(crate) const BRIDGE: &str = "br0";

/// The ground on which a facility stands.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) names: PathBuf,
    pub(crate) folder: PathBuf,
    /// Where the nodes' key files are.
    pub(crate) medium: Option<PathBuf>,
    pub(crate) plan: Plan,
    pub(crate) guard: Handle,
}

impl Site {
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.names.join(format!("{}-{name}", self.plan.prefix))
    }

    pub(crate) fn namespace(&self, name: &str) -> Result<Namespace, Failed> {
        Namespace::open(&self.path_of(name)).act(|| format!("find the namespace of {name:?}"))
    }

    /// Turns a node off. What is in its memory is gone, what is on its disk stays.
    pub(crate) fn power_off(&self, place: usize, slot: &Slot) -> Result<(), Failed> {
        let mut power = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if !power.is_on() {
            return Ok(());
        }
        let name = &self.planned(place)?.name;
        power.off()?;
        // A namespace whose last name goes ends some time later; the cable shall be free at once.
        let unplugged =
            self.namespace("router")?.run(|| Links::open().and_then(|mut links| links.delete(name)));
        unplugged.and_then(|unplugged| unplugged).act(|| format!("unplug {name:?}"))?;
        let prefix = format!("{}-{name}", self.plan.prefix);
        undo::undo(&Thing::Names { folder: self.names.clone(), prefix })?;
        let folder = self.folder.join(name);
        undo::undo(&Thing::Mount(Node::pins_in(&folder)))?;
        fs::remove_dir_all(folder.join("run")).act(|| format!("empty the memory of {name:?}"))
    }

    /// Turns a node on; nothing runs on it yet. The caller keeps the guard from taking anything away.
    pub(crate) fn power_on(&self, place: usize, slot: &Slot) -> Result<(), Failed> {
        let mut power = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if power.is_on() {
            return Ok(());
        }
        let act = || format!("make node number {place}");
        let planned = self.planned(place)?;
        let address = Plan::management(place);
        let path = self.path_of(&planned.name);
        let namespace = Namespace::create(&path).act(act)?;
        plug(&self.namespace("router")?, &planned.name, &namespace, "uplink").act(act)?;
        let own = (!self.plan.dhcp).then_some(address.into());
        namespace.run(|| wire_node(own)).and_then(|wired| wired).act(act)?;
        let folder = self.folder.join(&planned.name);
        let pins = Node::pins_in(&folder);
        fs::create_dir_all(&pins).act(act)?;
        self.guard.record(&Thing::Mount(pins.clone()))?;
        mount::bpffs(&pins).act(act)?;
        let key_file = self.medium.as_ref().map(|medium| medium.join(format!("{}.key", planned.name)));
        write_configuration(&self.plan, planned, address, &folder, &self.names, key_file.as_deref())
            .act(act)?;
        power.on(&planned.name, &path, &folder)
    }

    fn planned(&self, place: usize) -> Result<&NodePlan, Failed> {
        self.plan.nodes.get(place).ok_or("it is not planned").act(|| format!("find node number {place}"))
    }

    pub(crate) fn make_console(&self, planned: &ConsolePlan, router: &Namespace) -> Result<Console, Failed> {
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

/// The control group of a node's engines, at the root of each hierarchy.
pub(crate) fn control_group(plan: &Plan, node: &NodePlan) -> String {
    format!("{}-{}", plan.prefix, node.name)
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
    text += &format!("\n[volumes]\ndirectory = \"{}/volumes\"\n", folder.display());
    text += &format!("\n[engines]\ncgroup = \"{}\"\n", control_group(plan, node));
    if let Some(key_file) = key_file {
        text += &format!("\n[custody]\nkey_file = \"{}\"\n", key_file.display());
    }
    fs::write(configuration.join("bmonitor.toml"), text)?;
    // A node that is turned on again is enrolled as it was.
    let enrolment = configuration.join("enrolment.json");
    if enrolment.exists() { Ok(()) } else { fs::write(enrolment, &node.enrolment) }
}
