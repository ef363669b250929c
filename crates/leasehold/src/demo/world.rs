//! What the steps of the tour share: the facility and its parties.

use lab::{Facility, Guard};

/// The facility, as far as it is built.
#[expect(dead_code, reason = "the steps to come build the facility")]
pub(crate) struct World<'a> {
    pub(crate) guard: &'a Guard,
    pub(crate) facility: Option<Facility>,
}

impl<'a> World<'a> {
    pub(crate) const fn new(guard: &'a Guard) -> Self {
        Self { guard, facility: None }
    }

    /// Commands for a second shell.
    #[expect(clippy::unused_self, reason = "they will name what runs")]
    pub(crate) fn ways_to_look_around(&self) -> Vec<String> {
        vec!["\nThe tour is over. Ctrl-C ends the demo.".to_owned()]
    }
}
