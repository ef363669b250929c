//! What a core dump of a process would hold, read while it lives.
//!
//! The kernel writes into a core what the process has written to or shares without a file (core(5), the default
//! of `coredump_filter`); of what else it maps, the file on the disk says as much. The same is read here, whether the
//! process would leave a core or not, and what it keeps out of its cores, too; but memory of `memfd_secret`, which
//! the kernel shows to nobody. What alone is missing are the registers of its threads, which wait in the
//! kernel as long as nobody asks them anything.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// A part of a process's memory.
pub struct Region {
    /// As `/proc/PID/maps` names it.
    pub name: String,
    /// What is there.
    pub bytes: Vec<u8>,
}

/// All that a core of the process would hold, a region after the other.
///
/// # Errors
/// When it has ended, or the kernel does not let us read what stays mapped.
pub fn core_of(process: u32, mut each: impl FnMut(Region)) -> io::Result<()> {
    let memory = File::open(format!("/proc/{process}/mem"))?;
    for name in dumped(process)? {
        let (start, end) = range(&name).ok_or_else(|| io::Error::other(format!("no region: {name}")))?;
        let mut bytes = vec![0; usize::try_from(end - start).map_err(io::Error::other)?];
        match memory.read_exact_at(&mut bytes, start) {
            Ok(()) => each(Region { name, bytes }),
            // It may have been given back meanwhile.
            Err(error) if dumped(process)?.contains(&name) => {
                return Err(io::Error::other(format!("{name}: {error}")));
            }
            Err(_gone) => {}
        }
    }
    Ok(())
}

/// The regions that would be dumped: each line of `maps`.
fn dumped(process: u32) -> io::Result<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{process}/smaps"))?;
    let mut regions: Vec<(String, bool)> = Vec::new();
    for line in text.lines() {
        match (regions.last_mut(), line.split_once(':')) {
            (Some((_, own)), Some(("Anonymous" | "Swap", size))) => {
                *own |= size.split_whitespace().next() != Some("0");
            }
            // A name of one word before the colon; a region's line has spaces before any.
            (_, Some((word, _))) if !word.contains(' ') => {}
            _ => regions.push((line.to_owned(), is_shared_without_file(line))),
        }
    }
    Ok(regions.into_iter().filter(|(_, own)| *own).map(|(line, _)| line).collect())
}

fn is_shared_without_file(line: &str) -> bool {
    let mut words = line.split_whitespace().skip(1);
    let shared = words.next().is_some_and(|rights| rights.ends_with('s'));
    shared && !line.contains("/secretmem") && (line.ends_with("(deleted)") || words.nth(3).is_none())
}

fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_on_the_heap_and_the_stack_is_there_and_the_programs_text_is_not() {
        let heap = vec![0x5a_u8; 100_000];
        let stack = [0xa5_u8; 4_000];
        let (mut on_heap, mut on_stack, mut text) = (false, false, false);
        core_of(std::process::id(), |region| {
            let (start, end) = range(&region.name).unwrap();
            let holds = |place: usize| (start..end).contains(&(place as u64));
            on_heap |= holds(heap.as_ptr().addr());
            on_stack |= holds(stack.as_ptr().addr());
            text |= holds(range as *const () as usize);
            assert_eq!(region.bytes.len() as u64, end - start);
        })
        .unwrap();
        assert!(on_heap && on_stack && !text);
    }
}
