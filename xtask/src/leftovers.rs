//! Whether a program leaves anything behind: `scripts/leftovers` looks at the machine before and after.

use std::process::Command;

use crate::workspace::Workspace;

/// In a process and a mount namespace, so that what others do meanwhile does not count, and so that
/// what is left does not stay. Programs in the kernel show in every namespace: two copies that look for
/// them on one machine take turns, by a lock on a folder that every machine has.
const ALONE: [&str; 9] =
    ["--close", "/run", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash"];

/// The looking fails the whole only where the program itself did not fail.
const SCRIPT: &str = r#"
set -u
TMPDIR=$(mktemp -d)
# Tests become other uids, who walk through it.
chmod 711 "$TMPDIR"
export TMPDIR
before=$TMPDIR/before
trap 'rm -rf "$TMPDIR"' EXIT
scripts/leftovers snapshot "$before" || exit
"$@"
status=$?
scripts/leftovers compare "$before" || [ "$status" != 0 ] || status=1
exit "$status"
"#;

/// The command that runs `words` in the workspace and fails when something is left.
pub(crate) fn looked_for(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = Command::new("flock");
    command.args(ALONE).args(["-c", SCRIPT, "leftovers"]).args(words);
    command.current_dir(&workspace.workspace_root);
    command
}
