//! The image: a tar file with Debian's busybox and perl, the page, and the script that serves it.

use std::fs;
use std::path::Path;
use std::process::Command;

use lab::Failed;

const BUSYBOX: &str = "/bin/busybox";
const PERL: &str = "/usr/bin/perl";
const SCRIPT: &[u8] = include_bytes!("serve.pl");

/// Builds it.
pub(super) fn build(page: &[u8]) -> Result<Vec<u8>, Failed> {
    let mut image = tar::Builder::new(Vec::new());
    put(&mut image, "serve.pl", SCRIPT, 0o644)?;
    put(&mut image, "www/page", page, 0o644)?;
    put(&mut image, "www/alive", b"yes\n", 0o644)?;
    for program in [BUSYBOX, PERL].into_iter().map(str::to_owned).chain(libraries()?) {
        let content = fs::read(&program).map_err(|error| {
            Failed::new(format!("read {program} (Debian's busybox-static is needed)"), error)
        })?;
        put(&mut image, program.trim_start_matches('/'), &content, 0o755)?;
    }
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

/// What perl is linked with, by the paths at which it looks for them.
fn libraries() -> Result<Vec<String>, Failed> {
    let told = Command::new("ldd").arg(PERL).output();
    let told = told.map_err(|error| Failed::new("ask what perl is linked with", error))?;
    let words = String::from_utf8_lossy(&told.stdout).into_owned();
    let paths = words.split_whitespace().filter(|word| word.starts_with('/'));
    Ok(paths.map(str::to_owned).collect())
}
