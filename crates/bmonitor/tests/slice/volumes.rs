//! Volumes on a node that lives: written, searched for on the medium, severed, kept, suspended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Instant;

use id::TierId;
use keys::{Envelope, Fate, Receipt};
use lab::Said;
use node_protocol::call::{Call, Status, VolumeStatus};
use tenure::{Consent, NewVolume, Reassign, RemoveVolume, Renew, SizeMib, Target, Verb};
use volume::{Driver, Fscrypt, Place, Room};

use crate::world::{REALMS, SOON, TENANT, World};

const MARKER: &[u8] = b"what-the-tenant-wrote-and-nobody-else-may-read";

/// A world with one supervisor and a tenant who has a volume.
pub(crate) struct Tenancy {
    pub(crate) world: World,
    pub(crate) tier: TierId,
    pub(crate) supervisor: u32,
}

pub(crate) fn tenancy() -> Tenancy {
    let mut world = World::unstarted();
    let supervisor = world.start(0, &[]);
    world.settled(0);
    let (tier, _lease) = world.lease(0, REALMS);
    let mut tenancy = Tenancy { world, tier, supervisor };
    tenancy.supervisor = tenancy.machines_id(supervisor);
    tenancy.make("data").accepted();
    tenancy.open();
    tenancy
}

impl Tenancy {
    /// The supervisor's id as the machine counts.
    fn machines_id(&self, _within: u32) -> u32 {
        self.world.processes(0).into_iter().find(|(name, _)| name == "supervisor").unwrap().1
    }

    pub(crate) fn tenant_says(&self, verb: Verb) -> Said {
        let envelope = self.world.tenant.order(&self.world.standing(0, TENANT), verb);
        self.world.facility.nodes()[0].submit(&envelope, &[]).unwrap()
    }

    pub(crate) fn make(&self, name: &str) -> Said {
        let size_mib = SizeMib::try_from(16).unwrap();
        self.tenant_says(Verb::Volume(NewVolume { name: name.parse().unwrap(), size_mib }))
    }

    pub(crate) fn volumes(&self) -> Vec<VolumeStatus> {
        self.world.tier(0, TENANT).map(|tier| tier.volumes).unwrap_or_default()
    }

    pub(crate) fn open(&self) -> Status {
        let is_open = |status: &Status| {
            let tenant = status.tiers.iter().find(|tier| tier.name.as_str() == TENANT);
            tenant
                .is_some_and(|tier| tier.volumes.iter().all(|volume| volume.state.as_deref() == Some("open")))
        };
        self.world.settled(0);
        let status = self.world.status_with(0, |_| true);
        assert!(is_open(&status), "{status:?}\n{}", self.world.facility.nodes()[0].log());
        status
    }

    /// The tier's folder on the medium.
    pub(crate) fn folder(&self) -> PathBuf {
        self.world.facility.nodes()[0].folder().join("volumes").join(self.tier.to_string())
    }

    fn image(&self, number: u64) -> PathBuf {
        self.folder().join(format!("{number}.image"))
    }

    /// The content of a volume, as the supervisor's own mount namespace shows it.
    pub(crate) fn content(&self, name: &str) -> PathBuf {
        let folder = self.folder().join(name);
        Path::new(&format!("/proc/{}/root", self.supervisor)).join(folder.strip_prefix("/").unwrap())
    }

    pub(crate) fn write(&self, name: &str) {
        let path = self.content(name).join("secret");
        fs::write(&path, MARKER.repeat(100)).unwrap();
        File::open(path).unwrap().sync_all().unwrap();
    }

    pub(crate) fn reads(&self, name: &str) -> bool {
        fs::read(self.content(name).join("secret")).is_ok_and(|read| read == MARKER.repeat(100))
    }

    pub(crate) fn receipts(&self) -> Vec<Receipt> {
        let call = Call::Receipts { about: self.tier.to_string() };
        let (_number, lines) = self.world.facility.nodes()[0].call(&call, &[], SOON).unwrap();
        let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec);
        let payloads = lines.map(|line| Envelope::parse(&line).unwrap().unverified_payload().to_vec());
        payloads.filter_map(|payload| serde_json::from_slice(&payload).ok()).collect()
    }

    /// How many there are, settled or not.
    pub(crate) fn receipts_now(&self) -> usize {
        self.receipts().len()
    }

    /// The salts of volumes in custody's folder.
    pub(crate) fn salts(&self) -> usize {
        let folder = self.world.facility.nodes()[0].folder().join("state/custody");
        let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().ends_with(".volume")).count()
    }
}

fn holds(path: &Path, wanted: &[u8]) -> bool {
    fs::read(path).unwrap().windows(wanted.len()).any(|window| window == wanted)
}

/// What is left of a volume on the medium opens with no key: tried with the driver on a stolen copy.
fn opens_with(stolen: &Path, key: &[u8; 64]) -> bool {
    let stolen = stolen.to_owned();
    let key = *key;
    let tried = std::thread::spawn(move || {
        os::mount::own_namespace().unwrap();
        os::mount::private_folder(&stolen).unwrap();
        let (driver, place) = (Fscrypt { room: Room::Sparse }, Place::new(stolen, None, 1));
        let within = driver.attach(&place).unwrap();
        let id = os::fscrypt::add_key(&within, &key).unwrap();
        drop(within);
        let opened = driver.open(&place, id).is_ok();
        driver.close(&place).unwrap();
        opened
    });
    tried.join().unwrap()
}

/// A volume holds what is written, shows nothing of it on the medium, survives the supervisor, and is gone with the
/// tenant: whoever stole the image opens it with nothing that is left.
pub(crate) fn erased_with_the_tenant() {
    let mut tenancy = tenancy();
    let status = tenancy.open();
    let tenant = status.tiers.iter().find(|tier| tier.tier == tenancy.tier).unwrap();
    let volume = &tenant.volumes[0];
    assert_eq!((volume.name.as_ref().unwrap().as_str(), volume.size_mib), ("data", 16));
    assert!(volume.used_mib.is_some_and(|used| used < 16));
    // Nobody outside the supervisor's own mount namespace sees what is in it.
    tenancy.write("data");
    assert!(!tenancy.folder().join("data/secret").exists());
    assert!(!holds(&tenancy.image(1), MARKER));

    tenancy.world.facility.nodes_mut()[0].kill_supervisor().unwrap();
    let next = tenancy.world.start(0, &[]);
    tenancy.open();
    tenancy.supervisor = tenancy.machines_id(next);
    assert!(tenancy.reads("data"));

    let stolen = tenancy.world.facility.folder().join("stolen");
    fs::create_dir(&stolen).unwrap();
    assert_eq!(tenancy.salts(), 1);
    let began = Instant::now();
    tenancy.world.sever(0, tenancy.tier).accepted();
    fs::hard_link(tenancy.image(1), stolen.join("1.image")).unwrap();
    assert!(tenancy.world.tier(0, TENANT).is_none());
    assert!(began.elapsed() < SOON);
    assert!(!tenancy.image(1).exists());
    assert_eq!(tenancy.salts(), 0);
    let receipts = tenancy.receipts();
    let receipt = receipts.last().unwrap();
    assert!(receipt.parts.iter().all(|part| part.fate == Fate::Ended));
    // The tier's own secrets, and the volume's salt.
    assert_eq!(receipt.destroyed.len(), 2, "{receipt:?}");
    assert!(!holds(&stolen.join("1.image"), MARKER));
    assert!(!opens_with(&stolen, &[7; 64]));

    // The next tenant of the same node begins with nothing.
    let (tier, _lease) = tenancy.world.lease(0, REALMS);
    tenancy.tier = tier;
    tenancy.make("data").accepted();
    tenancy.open();
    assert_eq!(fs::read_dir(tenancy.content("data")).unwrap().count(), 0);
}

/// Suspended is closed and nothing is lost; renewed with the data kept it stays; renewed from above it is gone, and the
/// tenant sees it; removed by its tier it is gone alone.
pub(crate) fn suspended_kept_forced_and_removed() {
    let tenancy = tenancy();
    tenancy.write("data");
    let tier = tenancy.tier;
    let say = |verb| tenancy.world.say(0, verb).accepted();
    say(Verb::Suspend(Target { tier }));
    assert_eq!(tenancy.volumes()[0].state.as_deref(), Some("closed"));
    assert!(!tenancy.reads("data") && tenancy.image(1).exists());
    say(Verb::Resume(Target { tier }));
    tenancy.open();
    assert!(tenancy.reads("data"));

    let keep = vec![tier];
    tenancy.tenant_says(Verb::Renew(Renew { tier: None, keep, nonce: None })).accepted();
    tenancy.open();
    assert!(tenancy.reads("data"));
    assert_eq!(tenancy.salts(), 1);
    // It opens by what was wrapped anew.
    say(Verb::Suspend(Target { tier }));
    tenancy.volumes();
    say(Verb::Resume(Target { tier }));
    tenancy.open();
    assert!(tenancy.reads("data"));

    // The landlord's own renewal erases the landlord's data, and keeps what the tenant consents to.
    let landlord = tenancy.world.standing(0, "landlord");
    let consent = Consent { tier: landlord.tier, epoch: landlord.epoch, successor: None };
    tenancy.tenant_says(Verb::Consent(consent)).accepted();
    say(Verb::Renew(Renew { tier: None, keep: vec![tier], nonce: None }));
    tenancy.open();
    assert!(tenancy.reads("data"));
    say(Verb::Suspend(Target { tier }));
    tenancy.volumes();
    say(Verb::Resume(Target { tier }));
    tenancy.open();
    assert!(tenancy.reads("data"));

    tenancy.make("more").accepted();
    tenancy.open();
    let removed = Verb::RemoveVolume(RemoveVolume { name: "more".parse().unwrap() });
    tenancy.tenant_says(removed).accepted();
    assert_eq!(tenancy.volumes().len(), 1);
    assert!(!tenancy.image(2).exists() && tenancy.salts() == 1 && tenancy.reads("data"));

    let before = tenancy.receipts().len();
    say(Verb::Renew(Renew { tier: Some(tier), keep: Vec::new(), nonce: None }));
    assert!(tenancy.volumes().is_empty());
    assert!(!tenancy.image(1).exists() && tenancy.salts() == 0);
    let receipts = tenancy.receipts();
    assert!(receipts.len() > before);
    assert!(receipts.last().unwrap().parts.iter().any(|part| part.tier == tier && part.fate == Fate::Erased));
}

/// An operator follows another with the data kept by consent of the data's tier, or with nothing.
pub(crate) fn the_next_operator_with_the_data_or_without() {
    for kept in [true, false] {
        let mut tenancy = tenancy();
        tenancy.write("data");
        let (tier, standing) = (tenancy.tier, tenancy.world.standing(0, TENANT));
        let next = lab::Party::new().unwrap();
        let keys = vec![tenure::ControllerKey { key: *next.key().public(), rights: tenure::Rights::ALL }];
        let successor = Some(vec![next.key().public().id()]);
        let consent = Consent { tier, epoch: standing.epoch, successor };
        tenancy.tenant_says(Verb::Consent(consent)).accepted();
        let keep = if kept { vec![tier] } else { Vec::new() };
        let contract = "L-10".to_owned().try_into().unwrap();
        let reassign = Reassign { tier, contract, keys, keep, consoles: Vec::new() };
        tenancy.world.say(0, Verb::Reassign(reassign)).accepted();
        tenancy.world.tenant = next;
        assert_eq!(tenancy.volumes().len(), usize::from(kept));
        assert_eq!(tenancy.reads("data"), kept);
        assert_eq!(tenancy.image(1).exists(), kept);
    }
}
