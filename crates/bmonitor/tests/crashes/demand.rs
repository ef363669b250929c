//! What the journal demands of the kernel, worked out anew from its lines, and what the kernel has.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Instant;

use boundary::{Budget, Direction, FilterSet, Form, Packet, PacketSet};
use datapath::{Filter, Fitting, Lease, Program, Settings, compile};
use id::Digest;
use node_protocol::call::Status;
use os::link::Links;
use serde_json::Value;
use tenure::{Change, Gate, Realm, Tenure, World, apply, effects};

use crate::subject::{OPENED, PATIENCE, Subject, TENANT};

/// What the journal demands.
pub(crate) struct Demand {
    pub(crate) world: World,
    /// The ports among [`OPENED`] that the outside client must reach.
    pub(crate) open: BTreeSet<u16>,
}

/// Whether an order is in the journal, as one that was obeyed.
pub(crate) fn journal_has(journal: &[u8], envelope: &Digest) -> bool {
    let text = envelope.to_string();
    entries(journal).iter().any(|entry| entry["decided"]["input"]["order"]["envelope"] == *text)
}

/// Compares; gives what was demanded.
/// `beside` names the processes that there are for a realm beside its courier.
pub(crate) fn check(
    subject: &Subject,
    status: &Status,
    beside: impl Fn(&Realm) -> Vec<&'static str>,
) -> Demand {
    let journal = subject.caller().journal(PATIENCE).unwrap();
    let summary = journal::verify(&journal, None).unwrap();
    assert_eq!((summary.first, summary.last), (1, status.record));
    for order in &subject.acknowledged {
        assert!(journal_has(&journal, order), "{order} was acknowledged and is lost");
    }
    let tenure = replay(&journal);
    let world = effects(&tenure);
    assert!(world.due.is_empty(), "{:?}", world.due);
    let known: Vec<_> = status.tiers.iter().map(|tier| tier.tier).collect();
    assert_eq!(known, world.realms.iter().map(|realm| realm.tier).collect::<Vec<_>>());
    let realm = world.realms.iter().find(|realm| realm.name.as_str() == TENANT);
    let names = realm.map(|realm| realm.name.to_string());
    links_are(subject, names.as_deref());
    names_are(subject, names.as_deref());
    processes_are(subject, realm, realm.map(beside).unwrap_or_default());
    secrets_are(subject, &world);
    let open = realm.map(|realm| filter_is(subject, status, realm)).unwrap_or_default();
    Demand { world, open }
}

/// The entries of all lines, the snapshots aside.
fn entries(journal: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(journal).unwrap();
    let records =
        text.lines().map(|line| serde_json::from_str::<Value>(line.split_once(' ').unwrap().1).unwrap());
    records.filter_map(|mut record| record.get_mut("entry").map(Value::take)).collect()
}

/// The changes on record, one after the other, from nothing.
fn replay(journal: &[u8]) -> Tenure {
    let mut tenure = Tenure::unenrolled();
    for mut entry in entries(journal) {
        let changes = entry["decided"]["changes"].take();
        let changes: Option<Vec<Change>> = serde_json::from_value(changes).unwrap();
        changes.into_iter().flatten().for_each(|change| apply(&mut tenure, &change));
    }
    tenure
}

/// Links in the node's namespace: its own, and one for the realm.
fn links_are(subject: &Subject, realm: Option<&str>) {
    let node = subject.facility.namespace("n1").unwrap();
    let links = node.run(|| Links::open().unwrap().list().unwrap()).unwrap();
    let bridge = links.iter().find(|link| link.name == "br0").unwrap().index;
    let mut names: Vec<_> = links.iter().map(|link| link.name.as_str()).collect();
    names.sort_unstable();
    let host = realm.map(host_link);
    let mut wanted = vec!["br0", "lo", "uplink"];
    wanted.extend(host.as_deref());
    wanted.sort_unstable();
    assert_eq!(names, wanted, "{}", subject.log());
    for link in links.iter().filter(|link| Some(&link.name) == host.as_ref()) {
        assert!(link.up && link.master == Some(bridge), "{link:?}");
    }
}

/// The host's end of a realm's link, as documented.
fn host_link(tier: &str) -> String {
    let digest = Digest::of(tier.as_bytes()).to_string();
    format!("r{}", &digest["sha256:".len()..][..13])
}

/// Named namespaces and folders of pins.
fn names_are(subject: &Subject, realm: Option<&str>) {
    let named = subject.facility.path_of(&format!("n1-{TENANT}")).exists();
    assert_eq!(named, realm.is_some());
    let mut pins = listed(&subject.facility.nodes()[0].pins());
    // Files of the kernel's own, in every bpffs.
    pins.retain(|name| !name.ends_with(".debug"));
    assert_eq!(pins, realm.map(str::to_owned).into_iter().collect::<BTreeSet<_>>());
}

fn listed(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// In the node's list of processes: the first one, one supervisor with its custody and launcher, what there is for the
/// realm, and its tier's courier. Helpers, custody, launchers and couriers of a supervisor that was killed die with it; the
/// kernel may take a moment to end one.
fn processes_are(subject: &Subject, realm: Option<&Realm>, beside: Vec<&'static str>) {
    let mut wanted = vec!["custody", "lab:init", "launcher", "supervisor"];
    wanted.extend(beside);
    wanted.extend(realm.filter(|realm| realm.courier).map(|_| COURIER));
    wanted.sort_unstable();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = processes(subject.facility.nodes()[0].first_process());
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{found:?}, not {wanted:?}\n{}", subject.log());
    }
}

/// The first argument of a courier.
const COURIER: &str = "--confinement";

/// The roles of all that share the process list of `first`, sorted.
fn processes(first: u32) -> Vec<String> {
    let of = |id: &str| fs::read_link(format!("/proc/{id}/ns/pid")).ok();
    let node = of(&first.to_string()).unwrap();
    let mut found: Vec<String> = listed(Path::new("/proc"))
        .into_iter()
        .filter(|id| id.bytes().all(|byte| byte.is_ascii_digit()) && of(id).as_ref() == Some(&node))
        .filter_map(|id| role(&id))
        .collect();
    found.sort_unstable();
    found
}

/// The first argument of a process that has not ended.
fn role(id: &str) -> Option<String> {
    let line = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    let word = line.split(|byte| *byte == 0).nth(1)?;
    Some(String::from_utf8_lossy(word).into_owned())
}

/// Custody holds the secrets of living tiers in their present epoch, and no other.
fn secrets_are(subject: &Subject, world: &World) {
    let kept = listed(&subject.facility.nodes()[0].folder().join("state/custody"));
    let secrets: BTreeSet<_> = kept.into_iter().filter(|name| name.ends_with(".secret")).collect();
    let wanted: BTreeSet<_> =
        world.realms.iter().map(|realm| format!("{}.{}.secret", realm.tier, realm.epoch)).collect();
    assert_eq!(secrets, wanted, "{}", subject.log());
}

/// The filter of the realm, from its maps, against the one that its sets compile to.
fn filter_is(subject: &Subject, status: &Status, realm: &Realm) -> BTreeSet<u16> {
    let node = &subject.facility.nodes()[0];
    let pins = node.pins().join(TENANT);
    let filter = Filter::open(&pins, &Program::embedded(), &Settings::default()).unwrap().unwrap();
    let namespace = subject.facility.namespace("n1").unwrap();
    let observed = namespace.run(|| filter.observe(&host_link(TENANT)).unwrap()).unwrap();
    assert_eq!(observed.fitting, Fitting::Both, "{}", subject.log());
    assert_eq!(observed.cut, realm.gate == Gate::Cut);
    let shown = status.tiers.iter().find_map(|tier| tier.realm.as_ref()).unwrap();
    let sets = sets(subject, realm);
    let lease = Lease { mac: mac(&shown.mac), addresses: shown.addresses.clone() };
    let image = compile(&sets, &lease, &mut Budget::for_tier()).unwrap();
    let live = observed.live.unwrap();
    assert_eq!(live.digest, image.digest(), "the maps hold another policy than the journal demands");
    assert_eq!(live.generation, shown.generation);
    // A flow that the live generation admits is one that all sets admit.
    for flow in filter.flows().unwrap().into_iter().filter(|flow| flow.generation == live.generation) {
        let ours = flow.protocol == 6 && flow.remote == lab::INTERNET;
        assert!(ours && sets.iter().all(|set| set.evaluate(&to(flow.local_port))), "{flow:?}");
    }
    let admitted = |port: &u16| realm.gate == Gate::Open && sets.iter().all(|set| set.evaluate(&to(*port)));
    OPENED.into_iter().filter(admitted).collect()
}

/// The built-in deny and the realm's sets, from the top, as packet sets of their objects.
fn sets(subject: &Subject, realm: &Realm) -> Vec<PacketSet> {
    let state = subject.facility.nodes()[0].folder().join("state");
    let objects = state.join("objects");
    let deny = format!("version = 1\n[[allow]]\n[[deny]]\nremote = [\"{}\"]\n", lab::Plan::management(0));
    let mut texts = vec![deny.into_bytes()];
    for name in &realm.sets {
        let form = fs::read(objects.join(name.to_string().trim_start_matches("sha256:"))).unwrap();
        let object = opened(&state.join("custody"), name, &form);
        assert_eq!(Digest::of(&object), *name);
        texts.push(object[16..].to_vec());
    }
    let read = |text: Vec<u8>| FilterSet::parse(&text).unwrap().resolve(None).unwrap();
    texts.into_iter().map(|text| read(text).packet_set(&mut Budget::for_tier()).unwrap()).collect()
}

/// An object as custody opens it: under its tier's key, which lies under the storage key.
fn opened(custody: &Path, name: &Digest, form: &[u8]) -> Vec<u8> {
    let (tier, sealed) = form.split_first_chunk().unwrap();
    let storage = fs::read(custody.join("storage.key")).unwrap();
    let storage: [u8; 32] = storage[storage.len() - 32..].try_into().unwrap();
    let file = format!("{}.objects", id::TierId::from_bytes(*tier));
    let key = keys::at_rest::unseal(&storage, &file, &fs::read(custody.join(&file)).unwrap()).unwrap();
    let key: [u8; 32] = key.as_slice().try_into().unwrap();
    keys::at_rest::unseal(&key, &name.to_string(), sealed).unwrap().to_vec()
}

fn mac(text: &str) -> [u8; 6] {
    let bytes: Vec<u8> = text.split(':').map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// The outside client's first packet to a port of the realm.
fn to(port: u16) -> Packet {
    let IpAddr::V4(internet) = lab::INTERNET else { unreachable!("it has an IPv4 address") };
    Packet {
        form: Form::Flow,
        direction: Direction::In,
        protocol: 6,
        remote: internet.to_ipv6_mapped().to_bits(),
        remote_port: 40_000,
        local_port: port,
    }
}
