//! Images as files: `HEX.part` while one arrives, `HEX` once all of it is there, is what its name says, and is on
//! the medium.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use console_api::Exit;
use engine::image::{BOUNDS, digest};
use id::Digest;

use crate::api::{No, not_found, refused, usage};

/// Images that are kept, whole or not.
const IMAGES_MAX: usize = 256;

/// The folder with the images.
pub(crate) struct Images {
    folder: PathBuf,
    /// Who has it writes.
    writing: Mutex<()>,
}

/// How much of an image is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) image: Digest,
    pub(crate) bytes: u64,
    pub(crate) whole: bool,
}

impl Images {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        Ok(Self { folder: folder.to_owned(), writing: Mutex::new(()) })
    }

    fn whole_path(&self, image: &Digest) -> PathBuf {
        self.folder.join(hex(image))
    }

    fn part_path(&self, image: &Digest) -> PathBuf {
        self.folder.join(format!("{}.part", hex(image)))
    }

    /// Appends a part; who sends another one than the next hears where to go on. With the last one the image is whole
    /// and on the medium, or it is gone.
    pub(crate) fn put(&self, image: Digest, offset: u64, bytes: &[u8], last: bool) -> Result<Kept, No> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(whole) = self.state(&image)?.filter(|kept| kept.whole) {
            return Ok(whole);
        }
        let path = self.part_path(&image);
        if !path.exists() && fs::read_dir(&self.folder)?.count() >= IMAGES_MAX {
            return Err(refused("limit", format!("a console keeps {IMAGES_MAX} images"))
                .hint("`leasehold image list` shows which nobody uses"));
        }
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        if offset == 0 {
            file.set_len(0)?;
        }
        let there = file.metadata()?.len();
        if offset != there {
            return Ok(Kept { image, bytes: there, whole: false });
        }
        let after = there.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if after > BOUNDS.bytes {
            return Err(usage(format!("an image has at most {} bytes", BOUNDS.bytes)));
        }
        file.write_all(bytes)?;
        if !last {
            return Ok(Kept { image, bytes: after, whole: false });
        }
        self.finish(image, &path, &file)?;
        Ok(Kept { image, bytes: after, whole: true })
    }

    fn finish(&self, image: Digest, path: &Path, file: &File) -> Result<(), No> {
        file.sync_all()?;
        let found = digest(&mut File::open(path)?, &BOUNDS)
            .map_err(|why| No::new("failed", Exit::Failed, why.to_string()))?;
        if found != image {
            fs::remove_file(path)?;
            return Err(usage(format!("these bytes are the image {found}, not {image}")));
        }
        fs::rename(path, self.whole_path(&image))?;
        File::open(&self.folder)?.sync_all()?;
        Ok(())
    }

    /// How much of an image is there, if anything.
    pub(crate) fn state(&self, image: &Digest) -> io::Result<Option<Kept>> {
        for (path, whole) in [(self.whole_path(image), true), (self.part_path(image), false)] {
            match fs::metadata(path) {
                Ok(found) => return Ok(Some(Kept { image: *image, bytes: found.len(), whole })),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// How many bytes an image has that is whole.
    pub(crate) fn whole(&self, image: &Digest) -> Result<u64, No> {
        let kept = self.state(image)?.filter(|kept| kept.whole);
        kept.map(|kept| kept.bytes).ok_or_else(|| {
            not_found(format!("this console does not have the image {image}"))
                .hint("`leasehold engine deploy … --image FILE` hands it over")
        })
    }

    /// All of them, by name. What else lies in the folder is nobody's.
    pub(crate) fn all(&self) -> io::Result<Vec<Kept>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let Some(name) = name.to_str() else { continue };
            let Ok(image) = format!("sha256:{}", name.trim_end_matches(".part")).parse() else { continue };
            all.extend(self.state(&image)?);
        }
        all.sort_by_key(|kept| kept.image.to_string());
        all.dedup();
        Ok(all)
    }

    /// Part of an image that is whole; less at its end.
    pub(crate) fn part(&self, image: &Digest, offset: u64, bytes_max: u64) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.whole_path(image))?;
        file.seek(SeekFrom::Start(offset))?;
        let mut bytes = Vec::new();
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Takes one away.
    pub(crate) fn remove(&self, image: &Digest) -> Result<Kept, No> {
        let _turn = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.state(image)?.ok_or_else(|| not_found(format!("there is no image {image}")))?;
        fs::remove_file(if kept.whole { self.whole_path(image) } else { self.part_path(image) })?;
        File::open(&self.folder)?.sync_all()?;
        Ok(kept)
    }
}

fn hex(image: &Digest) -> String {
    image.to_string().trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> (tempfile::TempDir, Images) {
        let folder = tempfile::tempdir().unwrap();
        let images = Images::open(&folder.path().join("images")).unwrap();
        (folder, images)
    }

    #[test]
    fn an_image_comes_in_parts_and_is_whole_only_as_its_name_says() {
        let (_folder, images) = images();
        let bytes = vec![7; 3_000];
        let image = Digest::of(&bytes);
        assert_eq!(images.put(image, 0, &bytes[..1_000], false).unwrap().bytes, 1_000);
        assert!(images.whole(&image).is_err(), "half an image is none");
        // A part that is not the next is not taken; one at 0 begins anew.
        assert_eq!(images.put(image, 2_000, &bytes[2_000..], true).unwrap().bytes, 1_000);
        assert_eq!(images.put(image, 0, &bytes[..2_000], false).unwrap().bytes, 2_000);
        assert!(images.put(image, 2_000, &bytes[2_000..], true).unwrap().whole);
        assert_eq!(images.whole(&image).unwrap(), 3_000);
        assert_eq!(images.part(&image, 2_999, 10).unwrap(), [7]);
        // What is whole is not written to any more.
        assert!(images.put(image, 0, b"other bytes", true).unwrap().whole);
        assert_eq!(images.all().unwrap(), [Kept { image, bytes: 3_000, whole: true }]);

        let other = Digest::of(b"something else");
        assert_eq!(images.put(other, 0, b"these bytes", true).unwrap_err().0.exit, 2);
        assert_eq!(images.state(&other).unwrap(), None);
        images.remove(&image).unwrap();
        assert_eq!(images.remove(&image).unwrap_err().0.exit, 5);
        assert!(images.all().unwrap().is_empty());
    }

    #[test]
    fn another_start_goes_on_with_what_is_there() {
        let (folder, images) = images();
        let image = Digest::of(b"abcdef");
        images.put(image, 0, b"abc", false).unwrap();
        let images = Images::open(&folder.path().join("images")).unwrap();
        assert_eq!(images.state(&image).unwrap(), Some(Kept { image, bytes: 3, whole: false }));
        assert!(images.put(image, 3, b"def", true).unwrap().whole);
    }
}
