//! A private bpffs, network namespaces and links for one test; gone when it ends, in whatever way.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder with a bpffs of its own in it.
pub(crate) struct Place {
    folder: PathBuf,
}

impl Place {
    /// # Panics
    /// Without the rights of root.
    pub(crate) fn new() -> Self {
        assert!(
            fs::metadata("/proc/self").unwrap().uid() == 0,
            "this test loads an eBPF program and makes network namespaces: run it as root"
        );
        let folder = std::env::temp_dir().join(format!("datapath-{}", random_name()));
        fs::create_dir(&folder).unwrap();
        let place = Self { folder };
        let pins = place.folder.join("bpf");
        fs::create_dir(&pins).unwrap();
        os::mount::bpffs(&pins).expect("a bpffs can be mounted: is CONFIG_BPF_SYSCALL set?");
        place
    }

    /// The folder to pin a filter in.
    pub(crate) fn pins(&self) -> PathBuf {
        self.folder.join("bpf").join("realm")
    }

    /// Where other files of the test may lie.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let pins = self.folder.join("bpf");
        // What could not be mounted cannot be unmounted; what is left shows in scripts/leftovers.
        drop(os::mount::unmount(&pins));
        drop(fs::remove_dir_all(&self.folder));
    }
}

/// Ten random letters and digits.
pub(crate) fn random_name() -> String {
    let bytes: [u8; 5] = os::random::bytes().unwrap();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
