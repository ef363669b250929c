//! What scripts of Debian's clients write down, line by line.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::place::eventually_or;

/// A script for a client, and the file that it writes its lines to.
pub(crate) struct Script {
    pub(crate) path: PathBuf,
    lines: PathBuf,
    read: usize,
}

impl Script {
    /// `body` is shell; `$lines` is the file.
    pub(crate) fn new(folder: &Path, body: &str) -> Self {
        let (path, lines) = (folder.join("script"), folder.join("lines"));
        let text =
            format!("#!/bin/sh\nPATH=/usr/sbin:/usr/bin:/sbin:/bin\nlines={}\n{body}\n", lines.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { path, lines, read: 0 }
    }

    /// Waits for a line that begins with one of `words`; gives it. Lines before it are passed over.
    pub(crate) fn wait_for(&mut self, words: &[&str]) -> Vec<String> {
        let (lines, from) = (self.lines.clone(), self.read);
        let look = || {
            let text = std::fs::read_to_string(&lines).unwrap_or_default();
            let whole = &text[..text.rfind('\n')? + 1];
            let wanted = |line: &&str| words.contains(&line.split(' ').next().unwrap_or_default());
            let (at, line) = whole.lines().enumerate().skip(from).find(|(_, line)| wanted(line))?;
            Some((at + 1, line.split(' ').map(str::to_owned).collect()))
        };
        let (read, line) = eventually_or(&format!("{words:?}"), look, || {
            // What the script wrote, and what the program said.
            let read = |path: &Path| std::fs::read_to_string(path).unwrap_or_default();
            read(&lines) + &read(&lines.with_file_name("dhclient"))
        });
        self.read = read;
        line
    }
}
