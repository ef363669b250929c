//! Whether a program leaves anything behind: `scripts/leftovers` looks at the machine before and after.

use std::process::Command;

use crate::workspace::Workspace;

/// The command that runs `words` in the workspace, apart from what others do, and fails when something is left.
pub(crate) fn looked_for(workspace: &Workspace, words: &[&str]) -> Command {
    let mut command = Command::new("scripts/leftovers");
    command.arg("run").args(words).current_dir(&workspace.workspace_root);
    command
}
