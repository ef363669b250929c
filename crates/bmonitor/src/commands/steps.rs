//! `bmonitor steps`.

use crate::output::line;
use crate::step::Step;

/// One line a step: its name, the process that passes it, what is true there.
pub(crate) fn print() {
    for step in Step::ALL {
        line(&format!("{:20} {:10} {}", step.name(), step.role(), step.what()));
    }
}
