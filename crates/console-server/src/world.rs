//! What a console takes from the machine that it runs on: random numbers, the time, a place to talk to.

use std::io;

use id::Time;

/// Passed in, so that a test can say what comes.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Random bytes, fit for keys.
    pub random: fn() -> io::Result<[u8; 32]>,
    /// The wall clock.
    pub now: fn() -> Time,
    /// Tells whoever watches the console run: one line.
    pub tell: fn(&str),
}

impl World {
    pub(crate) fn now(&self) -> Time {
        (self.now)()
    }

    pub(crate) fn random(&self) -> io::Result<[u8; 32]> {
        (self.random)()
    }

    /// Half of what one drawing gives: the length of ids, nonces and salts.
    pub(crate) fn random_16(&self) -> io::Result<[u8; 16]> {
        let mut half = [0; 16];
        half.copy_from_slice(&self.random()?[..16]);
        Ok(half)
    }

    pub(crate) fn tell(&self, line: &str) {
        (self.tell)(line);
    }
}
