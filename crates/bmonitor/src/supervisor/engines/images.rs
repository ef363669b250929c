//! Images on their way to a tier's volume: received in parts, checked and unpacked by a process without rights.
//!
//! On the volume: `blobs/HEX` (what has arrived), `images/HEX.N` (unpacked; N counts reloads).

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use engine::image::BOUNDS;
use engine::specification::Specification;
use id::{Digest, Name, TierId};
use node_protocol::Frame;
use node_protocol::call::{Answer, EngineStatus, ImageState, code};
use os::clock::boot;

use super::make_folder;
use crate::failure::{Exit, chain};
use crate::launching::Unpacked;
use crate::rights::{Role, UNPACKER_UID};
use crate::supervisor::Supervisor;
use crate::supervisor::calls::refused;
use crate::supervisor::services::{Service, Services};

/// The longest part of an image.
const PART_BYTES_MAX: usize = 1024 * 1024;
/// Images on one volume, whole or not.
const BLOBS_MAX: usize = 16;
/// How long an image may take to be unpacked: the largest one on a slow disk.
const UNPACKED_IN: Duration = Duration::from_secs(600);

/// What is known of images beside what lies on volumes.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Images {
    /// Why an image was not unpacked.
    failed: BTreeMap<Unpacks, String>,
    under_way: BTreeMap<Unpacks, UnderWay>,
}

/// An unpacker that runs.
#[derive(Debug)]
struct UnderWay {
    /// When it is overdue, in time since the boot.
    until: Duration,
    said: Option<Unpacked>,
}

impl Images {
    /// Kills the unpackers that take too long. Each is started again after its pause.
    pub(in crate::supervisor) fn enforce_deadlines(&self, services: &mut Services) {
        for unpacks in self.overdue(boot()) {
            services.end_for(&Service::Unpacker(unpacks.clone()), "it took too long");
        }
    }

    fn overdue(&self, now: Duration) -> impl Iterator<Item = &Unpacks> {
        self.under_way.iter().filter(move |(_, under_way)| under_way.until <= now).map(|(unpacks, _)| unpacks)
    }

    /// How long until one takes too long.
    pub(in crate::supervisor) fn wake_in(&self) -> Option<Duration> {
        let until = self.under_way.values().map(|under_way| under_way.until).filter(|until| *until > boot());
        until.min().map(|until| until.saturating_sub(boot()))
    }
}

/// What an unpacker works at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::supervisor) struct Unpacks {
    pub(in crate::supervisor) tier: TierId,
    pub(in crate::supervisor) volume: Name,
    pub(in crate::supervisor) image: Digest,
    pub(in crate::supervisor) reloads: u64,
}

fn hex(image: &Digest) -> String {
    image.to_string().trim_start_matches("sha256:").to_owned()
}

impl Unpacks {
    fn folder(&self) -> String {
        format!("{}.{}", hex(&self.image), self.reloads)
    }
}

impl Supervisor {
    /// The unpacked image of a specification; while it is not there, why. Unpacking is begun.
    pub(super) fn image_of(
        &mut self,
        tier: TierId,
        specification: &Specification,
        reloads: u64,
    ) -> Result<PathBuf, String> {
        let volume = self.open_volume(tier, &specification.volume).ok_or("no-volume")?;
        let unpacks =
            Unpacks { tier, volume: specification.volume.clone(), image: specification.image, reloads };
        let unpacked = volume.join("images").join(unpacks.folder());
        if unpacked.is_dir() {
            return Ok(unpacked);
        }
        if let Some(why) = self.images.failed.get(&unpacks) {
            return Err(why.clone());
        }
        if !self.images.under_way.contains_key(&unpacks) {
            let blob = volume.join("blobs").join(hex(&specification.image));
            if !blob.is_file() {
                return Err("image-missing".to_owned());
            }
            self.unpack(&unpacks, &volume, &blob).map_err(|error| chain(&error))?;
        }
        if self.images.under_way.contains_key(&unpacks) {
            return Err(EngineStatus::IMAGE_UNPACKING.to_owned());
        }
        let why = self.services.why_it_failed(&Service::Unpacker(unpacks));
        Err(why.map_or("its image's unpacker died".to_owned(), |why| {
            format!("its image's unpacker died: {why}")
        }))
    }

    fn unpack(&mut self, unpacks: &Unpacks, volume: &Path, blob: &Path) -> io::Result<()> {
        let service = Service::Unpacker(unpacks.clone());
        if !self.services.may_start(&service) {
            return Ok(());
        }
        let images = volume.join("images");
        make_folder(&images)?;
        chown(&images, Some(UNPACKER_UID), Some(UNPACKER_UID))?;
        let mut command = Command::new("/proc/self/exe");
        command.env_clear().arg(Role::Unpacker.to_string());
        command.args(["--parent", &std::process::id().to_string()]);
        command.arg("--blob").arg(blob).arg("--images").arg(&images);
        command.args(["--image", &unpacks.image.to_string(), "--folder", &unpacks.folder()]);
        self.services.start(service.clone(), command);
        // Of one that cannot be started no end is told.
        if self.services.is_running(&service) {
            let under_way = UnderWay { until: boot() + UNPACKED_IN, said: None };
            self.images.under_way.insert(unpacks.clone(), under_way);
        }
        Ok(())
    }

    /// An unpacker said what came of it.
    pub(in crate::supervisor) fn unpacker_said(&mut self, unpacks: &Unpacks, frame: &Frame) {
        if let (Ok(unpacked), Some(under_way)) = (frame.message(), self.images.under_way.get_mut(unpacks)) {
            under_way.said = Some(unpacked);
        }
        self.services.end(&Service::Unpacker(unpacks.clone()));
    }

    /// An unpacker has ended.
    pub(in crate::supervisor) fn unpacker_ended(&mut self, unpacks: &Unpacks) {
        match self.images.under_way.remove(unpacks).and_then(|under_way| under_way.said) {
            // One that died is started again after its pause.
            None | Some(Unpacked::Done {}) => {}
            Some(Unpacked::Failed { why }) => drop(self.images.failed.insert(unpacks.clone(), why)),
        }
    }

    /// What was not unpacked is forgotten once nobody wants it.
    pub(super) fn sweep_images(&mut self) {
        let tenure = &self.node.tenure;
        self.images.failed.retain(|unpacks, _| tenure.tier(unpacks.tier).is_some());
    }

    /// Takes a part of an image. Parts come in their order; who sends another one hears where to go on.
    pub(in crate::supervisor) fn put_image(
        &mut self,
        (tier, volume, image): (TierId, &Name, Digest),
        offset: u64,
        bytes: &[u8],
    ) -> Answer {
        if bytes.len() > PART_BYTES_MAX {
            let why = format!("a part of an image has at most {PART_BYTES_MAX} bytes");
            return refused(code::MALFORMED_MESSAGE, Exit::Usage, why);
        }
        let Some(folder) = self.open_volume(tier, volume) else { return no_volume(volume) };
        match append(&folder, &image, offset, bytes) {
            Ok(bytes) => {
                // Other bytes may be right.
                let same = |unpacks: &Unpacks| unpacks.image == image && unpacks.tier == tier;
                self.images.failed.retain(|unpacks, _| !same(unpacks));
                // Who has begun with fewer bytes begins anew: its word would be about those.
                let begun = self.images.under_way.iter_mut().filter(|(unpacks, _)| same(unpacks));
                for (unpacks, under_way) in begun {
                    under_way.said = None;
                    self.services.end(&Service::Unpacker(unpacks.clone()));
                }
                Answer::Image(ImageState { bytes, unpacked: false, why: None })
            }
            Err(error) => refused(code::FAILED, Exit::Failed, chain(&error)),
        }
    }

    /// How far an image is.
    pub(in crate::supervisor) fn image_state(&self, tier: TierId, volume: &Name, image: Digest) -> Answer {
        let Some(folder) = self.open_volume(tier, volume) else { return no_volume(volume) };
        let bytes = fs::metadata(folder.join("blobs").join(hex(&image))).map_or(0, |blob| blob.len());
        let name = format!("{}.", hex(&image));
        let entries = fs::read_dir(folder.join("images")).into_iter().flatten().filter_map(Result::ok);
        let whole = |text: &str| text.starts_with(&name) && !text.ends_with(".new");
        let unpacked = entries.into_iter().any(|entry| entry.file_name().to_str().is_some_and(whole));
        let why =
            self.images.failed.iter().find(|(unpacks, _)| unpacks.tier == tier && unpacks.image == image);
        Answer::Image(ImageState { bytes, unpacked, why: why.map(|(_, why)| why.clone()) })
    }
}

fn no_volume(volume: &Name) -> Answer {
    refused(code::NOT_FOUND, Exit::NotFound, format!("the tier has no open volume {volume} on this node"))
}

/// Appends a part; gives how much is there now.
fn append(volume: &Path, image: &Digest, offset: u64, bytes: &[u8]) -> io::Result<u64> {
    let blobs = volume.join("blobs");
    make_folder(&blobs)?;
    let path = blobs.join(hex(image));
    if !path.exists() && fs::read_dir(&blobs)?.count() >= BLOBS_MAX {
        return Err(io::Error::other(format!("{BLOBS_MAX} images are the most on one volume")));
    }
    let mut blob = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
    let there = blob.metadata()?.len();
    // An image that begins anew was not what it should have been.
    let there = if offset == 0 && there > 0 && !bytes.is_empty() {
        blob.set_len(0)?;
        0
    } else {
        there
    };
    if offset != there {
        return Ok(there);
    }
    let after = there + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if after > BOUNDS.bytes {
        return Err(io::Error::other("the image has too many bytes"));
    }
    blob.write_all(bytes)?;
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpacker_is_overdue_once_its_time_is_over() {
        let volume: Name = "data".parse().unwrap();
        let image = Digest::of(b"image");
        let one = |tier| Unpacks {
            tier: TierId::from_bytes([tier; 16]),
            volume: volume.clone(),
            image,
            reloads: 0,
        };
        let mut images = Images::default();
        for (tier, until) in [(1, 10), (2, 20)] {
            images.under_way.insert(one(tier), UnderWay { until: Duration::from_secs(until), said: None });
        }
        let overdue = |now| images.overdue(Duration::from_secs(now)).cloned().collect::<Vec<_>>();
        assert_eq!(overdue(9), []);
        assert_eq!(overdue(10), [one(1)]);
        assert_eq!(overdue(20), [one(1), one(2)]);
    }
}
