//! An allocator that wipes what is given back, once it is told to: for a process that has secrets in its heap,
//! also where a library frees them without wiping.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering, compiler_fence};

static WIPES: AtomicBool = AtomicBool::new(false);

/// From now on everything that is freed in this process is wiped first, where [`Wiping`] is its allocator.
pub fn begin() {
    WIPES.store(true, Ordering::Relaxed);
}

/// The system's allocator, wiping.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wiping;

// SAFETY: every call is handed to the system's allocator with the very arguments that came.
unsafe impl GlobalAlloc for Wiping {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if WIPES.load(Ordering::Relaxed) {
            // SAFETY: the caller gives back a block of that size, which nobody uses any more.
            unsafe { std::ptr::write_bytes(block, 0, layout.size()) };
            // The writes are not left out, though nobody reads them here.
            compiler_fence(Ordering::SeqCst);
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(block, layout) }
    }
    // Growing a block goes through the two above, by default: what is left behind is wiped as well.
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_is_wiped_before() {
        begin();
        let layout = Layout::from_size_align(4096, 16).unwrap();
        // SAFETY: a block of a size that is not zero.
        let block = unsafe { Wiping.alloc(layout) };
        assert!(!block.is_null());
        // SAFETY: the block is ours and of that size.
        unsafe { std::ptr::write_bytes(block, 7, 4096) };
        // SAFETY: it came from this allocator, with this layout.
        unsafe { Wiping.dealloc(block, layout) };
        // SAFETY: a block of a size that is not zero.
        let again = unsafe { Wiping.alloc(layout) };
        if again == block {
            // Behind the allocator's own two words.
            // SAFETY: within the block, which is ours again.
            let place = unsafe { again.add(64) };
            // SAFETY: as above; whatever lies there is a byte.
            let byte = unsafe { place.read_volatile() };
            assert_ne!(byte, 7);
        }
        // SAFETY: as above.
        unsafe { Wiping.dealloc(again, layout) };
    }
}
