//! The image: a tar file with Debian's busybox, which has a web server, and the page.

use std::fs;
use std::path::Path;

use lab::Failed;

const BUSYBOX: &str = "/bin/busybox";

/// Builds it.
pub(super) fn build(page: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut image = tar::Builder::new(Vec::new());
    put(&mut image, "www/page", page, 0o644)?;
    let content = fs::read(BUSYBOX)
        .map_err(|error| Failed::new(format!("read {BUSYBOX} (Debian's busybox-static is needed)"), error))?;
    put(&mut image, BUSYBOX.trim_start_matches('/'), &content, 0o755)?;
    image.into_inner().map_err(|error| Failed::new("build an image", error))
}

fn put(image: &mut tar::Builder<Vec<u8>>, path: &str, content: &[u8], mode: u32) -> Result<(), Failed> {
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(mode);
    image
        .append_data(&mut header, Path::new(path), content)
        .map_err(|error| Failed::new(format!("put {path} into an image"), error))
}
