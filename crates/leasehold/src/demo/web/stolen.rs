//! A copy of a volume's image that somebody took while the volume was open, as a thief of the disk has it. After the
//! severing every key that a party then holds is tried on it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use id::NodeId;
use keys::{DataKey, EraseSalt, KERNEL_KEY_BYTES, Locked, SECRET_BYTES, Share, TierSecret};
use lab::{Failed, VolumeLock, secrets_of_console};
use os::fscrypt::{self, KeyId};
use os::loop_device::LoopDevice;
use os::mount;
use serde_json::json;
use zeroize::Zeroizing;

use super::medium::{Medium, device_of, finds};
use crate::demo::show::Evidence;
use crate::demo::world::{CONSOLE_A, CONSOLE_B, LANDLORD, TENANT_A, World};

/// The encrypted folder in a volume's file system.
const CONTENT: &str = "content";

/// The copy, and what its tier's node knew of it.
pub(crate) struct Stolen {
    medium: Medium,
    copy: PathBuf,
    node: NodeId,
    /// What had wrapped the volume's data key. It is no secret: a thief may have it.
    lock: VolumeLock,
    /// What the kernel had, and no party ever has: with it the trial shows that it would notice a key that opens.
    witness: Zeroizing<Vec<u8>>,
}

/// What one holder has.
struct Held {
    who: String,
    keys: Vec<Zeroizing<Vec<u8>>>,
}

impl Stolen {
    /// Takes it on n1.
    pub(crate) fn take(world: &World<'_>) -> Result<Self, Failed> {
        let (medium, facility) = (Medium::of(world, 0)?, world.facility()?);
        let own = world.standing(0, TENANT_A)?;
        let lock = facility.volume_lock(0, own.tier)?;
        let is_it =
            |name: &str| name.starts_with(&own.tier.to_string()) && name.ends_with("volume kernel's key");
        let witness = facility.secrets_of(0)?.into_iter().find(|(name, _)| is_it(name));
        let (_, witness) = witness.ok_or_else(|| Failed::new("look at a volume's key", "there is none"))?;
        let copy = facility.folder().join("stolen.image");
        fs::copy(&medium.image, &copy).map_err(|error| Failed::new("copy an image", error))?;
        Ok(Self { medium, copy, node: own.node, lock, witness: Zeroizing::new(witness) })
    }

    /// What is left of the volume after its tier's severing: the copy, which opens with no key that anybody has.
    pub(crate) fn is_all_that_is_left(
        &self,
        world: &World<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), Failed> {
        let gone = !self.medium.image.exists() && device_of(&self.medium.image).is_none();
        evidence.check("the tenant's volume is gone from the disk, and no block device has it", gone);
        let shown = finds(world.page()?.word(), &self.copy)?;
        evidence.check("a copy of it that was taken before shows nothing of the page", !shown);
        self.opens_with_no_key(world, evidence)
    }

    /// Tries on the copy every key that the parties and their nodes hold now, alone and together.
    pub(crate) fn opens_with_no_key(&self, world: &World<'_>, evidence: &mut Evidence) -> Result<(), Failed> {
        let held = held(world)?;
        let told: Vec<String> =
            held.iter().map(|held| format!("{} of {}", held.keys.len(), held.who)).collect();
        evidence.tell(format!("keys tried on the copy: {}", told.join(", ")));
        let copy = Mounted::new(&self.copy)?;
        let (mut tried, mut opening) = (0, 0);
        for key in held.iter().flat_map(|held| &held.keys) {
            for key in as_the_kernel_has_them(key) {
                opening += usize::from(copy.is_opened_by(&key)?);
            }
            tried += 1;
        }
        evidence.check(
            format!("none of these {tried} opens it, neither as its key nor as what that follows from"),
            opening == 0,
        );
        // The chain of its key began with a salt that was on n1 alone, and went on with secrets that were there.
        let near: Vec<&Held> =
            held.iter().filter(|held| !held.who.starts_with('n') || held.who.starts_with("n1,")).collect();
        let (combinations, opening) = self.unwrapped(&near)?;
        evidence.check(
            format!("nor does any of {combinations} chains of n1's and the consoles' with what had wrapped its key"),
            opening == 0,
        );
        let word = world.page()?.word();
        evidence.check(
            "the key that was in n1's kernel alone would have opened it: the trial can tell",
            copy.is_opened_by(&self.witness)? && copy.shows(&self.witness, word)?,
        );
        evidence.fact("keys_tried", json!(told));
        evidence.fact("chains_tried", json!(combinations));
        copy.unmount()
    }

    /// Removes it.
    pub(crate) fn remove(&self) -> Result<(), Failed> {
        fs::remove_file(&self.copy).map_err(|error| Failed::new("remove a copy", error))
    }

    /// How many chains of a salt and a secret for each tier of the path were tried on what wrapped the data key, and how
    /// many opened it.
    fn unwrapped(&self, near: &[&Held]) -> Result<(usize, usize), Failed> {
        let [upper, lower] = self.lock.path.as_slice() else {
            return Err(Failed::new("try keys", "the volume's path has not two tiers"));
        };
        let whole = near.iter().flat_map(|held| &held.keys);
        let secrets: Vec<&[u8; SECRET_BYTES]> =
            whole.filter_map(|key| key.as_slice().try_into().ok()).collect();
        let (mut tried, mut opened) = (0, 0);
        for salt in &secrets {
            let locked = Locked::from_parts(EraseSalt::from_bytes(salt), self.lock.header);
            for above in &secrets {
                for own in &secrets {
                    let (above, own) = (TierSecret::from_bytes(above), TierSecret::from_bytes(own));
                    let shares = [
                        Share { tier: upper.0, epoch: upper.1, secret: &above },
                        Share { tier: lower.0, epoch: lower.1, secret: &own },
                    ];
                    tried += 1;
                    opened += usize::from(locked.open(self.node, &shares).is_ok());
                }
            }
        }
        Ok((tried, opened))
    }
}

/// All that the landlord, the old tenant and the next one have: in their consoles, and in custody on their nodes.
fn held(world: &World<'_>) -> Result<Vec<Held>, Failed> {
    let held = |who: String, secrets: lab::Secrets| Held {
        who,
        keys: secrets.into_values().map(Zeroizing::new).collect(),
    };
    let mut all = Vec::new();
    for name in [LANDLORD, CONSOLE_A, CONSOLE_B] {
        let folder = world.console(name)?.folder().join("console");
        all.push(held(format!("{name}'s"), secrets_of_console(&folder)?));
    }
    let facility = world.facility()?;
    for (place, node) in facility.nodes().iter().enumerate() {
        all.push(held(format!("{}, in custody", node.name()), facility.secrets_of(place)?));
    }
    Ok(all)
}

/// What the kernel would be given, were this a volume's data key, or the very thing.
fn as_the_kernel_has_them(key: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut whole = key.to_vec();
    whole.resize(KERNEL_KEY_BYTES, 0);
    let data = <&[u8; SECRET_BYTES]>::try_from(key).ok();
    let derived = data.map(|data| DataKey::from_bytes(data).for_the_kernel().to_vec());
    [Some(whole), derived].into_iter().flatten().map(Zeroizing::new).collect()
}

/// The copy's file system, mounted: as far as it goes without a key.
struct Mounted {
    folder: PathBuf,
    top: File,
    policy: KeyId,
}

impl Mounted {
    /// In the facility's own folder, with which the guard would take it away.
    fn new(copy: &Path) -> Result<Self, Failed> {
        let act = |error: std::io::Error| Failed::new("mount a copy", error);
        let folder = copy.with_extension("mounted");
        let image = File::options().read(true).write(true).open(copy).map_err(act)?;
        fs::create_dir(&folder).map_err(act)?;
        let device = LoopDevice::attach(&image).map_err(|failed| Failed::new("mount a copy", failed))?;
        mount::ext4(device.path(), &folder).map_err(|failed| Failed::new("mount a copy", failed))?;
        let top = File::open(&folder).map_err(act)?;
        let content = File::open(folder.join(CONTENT)).map_err(act)?;
        let policy = fscrypt::policy(&content).map_err(act)?;
        let policy = policy.ok_or_else(|| Failed::new("mount a copy", "its content is not encrypted"))?;
        Ok(Self { folder, top, policy })
    }

    /// Whether the kernel says that this is the key of what is in it.
    fn is_opened_by(&self, key: &[u8]) -> Result<bool, Failed> {
        let act = |error: std::io::Error| Failed::new("try a key", error);
        let key =
            <&[u8; KERNEL_KEY_BYTES]>::try_from(key).map_err(|error| Failed::new("try a key", error))?;
        let name = fscrypt::add_key(&self.top, key).map_err(act)?;
        fscrypt::remove_key(&self.top, name).map_err(act)?;
        Ok(name == self.policy)
    }

    /// Whether the word is in what the key opens.
    fn shows(&self, key: &[u8], word: &str) -> Result<bool, Failed> {
        let act = |error: std::io::Error| Failed::new("read a copy", error);
        let key =
            <&[u8; KERNEL_KEY_BYTES]>::try_from(key).map_err(|error| Failed::new("read a copy", error))?;
        let name = fscrypt::add_key(&self.top, key).map_err(act)?;
        let found = finds(word, &self.folder);
        fscrypt::remove_key(&self.top, name).map_err(act)?;
        found
    }

    fn unmount(self) -> Result<(), Failed> {
        let Self { folder, top, .. } = self;
        drop(top);
        mount::unmount(&folder).map_err(|failed| Failed::new("unmount a copy", failed))?;
        fs::remove_dir(&folder).map_err(|error| Failed::new("remove a folder", error))
    }
}
