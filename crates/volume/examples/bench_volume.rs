//! `cargo xtask bench volume`: what an erasure takes, whatever the size: the salt is unlinked and the folder synced, the
//! volume closed and the kernel asked, the image removed. Needs root.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its figures, and fails by panicking"
)]

use std::fs::{self, File};
use std::time::Instant;

use tempfile::TempDir;
use volume::{Driver, Fscrypt, KEY_BYTES, Place, Room};

const GIB: u64 = 1 << 30;
const RUNS: usize = 11;
/// "Erasure under 1 s at any volume size" (issue 4).
const BOUND_MS: f64 = 1000.0;
/// What is written before.
const WRITTEN: usize = 16 << 20;

fn main() {
    os::mount::own_namespace().unwrap();
    // Beside the build, on the disk: what is in memory erases faster than anything that lasts.
    let folder = TempDir::new_in(".").unwrap();
    os::mount::private_folder(folder.path()).unwrap();
    let path = folder.path().canonicalize().unwrap();
    let sizes = [("erase_1gib_ms", GIB), ("erase_64gib_ms", 64 * GIB)];
    let mut found = [Vec::new(), Vec::new()];
    // Interleaved, so that both meet the same machine.
    for run in 0..RUNS {
        for ((_, size), times) in sizes.iter().zip(&mut found) {
            let place = Place::new(path.join("tier"), None, run as u64);
            times.push(erase(&place, &path, *size));
        }
    }
    for ((figure, _), mut times) in sizes.into_iter().zip(found) {
        times.sort_by(f64::total_cmp);
        let (value, spread) = (times[RUNS / 2], [times[0], times[RUNS - 1]]);
        println!(
            "{{\"bench\":\"volume\",\"figure\":\"{figure}\",\"value\":{value:.1},\"unit\":\"ms\",\"runs\":{RUNS},\
             \"median\":{value:.1},\"spread\":[{:.1},{:.1}],\"bound\":{BOUND_MS:.1}}}",
            spread[0], spread[1]
        );
    }
}

/// Makes, fills and erases one; in milliseconds.
fn erase(place: &Place, folder: &std::path::Path, size: u64) -> f64 {
    let driver = Fscrypt { room: Room::Sparse };
    let salt = folder.join("salt");
    fs::write(&salt, [7; 32]).unwrap();
    File::open(&salt).unwrap().sync_all().unwrap();
    driver.provision(place, size).unwrap();
    let within = driver.attach(place).unwrap();
    let key = os::fscrypt::add_key(&within, &[7; KEY_BYTES]).unwrap();
    drop(within);
    driver.open(place, key).unwrap();
    let file = place.content().join("data");
    fs::write(&file, vec![7; WRITTEN]).unwrap();
    File::open(&file).unwrap().sync_all().unwrap();
    let began = Instant::now();
    fs::remove_file(&salt).unwrap();
    File::open(folder).unwrap().sync_all().unwrap();
    driver.close(place).unwrap();
    driver.remove(place).unwrap();
    began.elapsed().as_secs_f64() * 1000.0
}
