//! What an engine says of itself: datagrams of `sd_notify(3)`. Who says it is known by the socket alone;
//! `MAINPID`, descriptors to keep and whatever else a datagram claims is ignored.

/// The longest datagram that is looked at; of a longer one the rest is lost.
pub const BYTES_MAX: usize = 4096;
/// Characters of a status that are kept.
pub const STATUS_CHARACTERS_MAX: usize = 200;

/// One thing that an engine says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// It is ready.
    Ready,
    /// It lives.
    Alive,
    /// It says itself that it hangs.
    Hangs,
    /// It is ending.
    Stopping,
    /// How it is, in words: no control characters, no more than [`STATUS_CHARACTERS_MAX`].
    Status(String),
}

/// What a datagram says, in its order.
#[must_use]
pub fn parse(datagram: &[u8]) -> Vec<Notice> {
    let datagram = datagram.get(..BYTES_MAX).unwrap_or(datagram);
    datagram.split(|byte| *byte == b'\n').filter_map(notice).collect()
}

fn notice(line: &[u8]) -> Option<Notice> {
    match line {
        b"READY=1" => Some(Notice::Ready),
        b"WATCHDOG=1" => Some(Notice::Alive),
        b"WATCHDOG=trigger" => Some(Notice::Hangs),
        b"STOPPING=1" => Some(Notice::Stopping),
        other => other.strip_prefix(b"STATUS=").map(|status| Notice::Status(shown(status))),
    }
}

/// Text of an engine's making as a person may be shown it: nothing in it moves a cursor.
fn shown(status: &[u8]) -> String {
    let text = String::from_utf8_lossy(status);
    text.chars().filter(|character| !character.is_control()).take(STATUS_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_heard_and_all_else_ignored() {
        let said =
            parse(b"MAINPID=1\nREADY=1\nSTATUS=serving\nFDSTORE=1\nWATCHDOG=1\nSTOPPING=1\nWATCHDOG=trigger");
        let status = Notice::Status("serving".to_owned());
        assert_eq!(said, [Notice::Ready, status, Notice::Alive, Notice::Stopping, Notice::Hangs]);
        for ignored in [&b""[..], b"READY", b"READY=2", b" READY=1", b"READY=1\0", b"ready=1", b"\n\n"] {
            assert!(parse(ignored).is_empty(), "{ignored:?}");
        }
    }

    #[test]
    fn a_status_is_short_and_moves_no_cursor() {
        let said = parse(b"STATUS=\x1b[2Jall \xffwell\x07");
        assert_eq!(said, [Notice::Status("[2Jall \u{fffd}well".to_owned())]);
        let long = [b"STATUS=".to_vec(), vec![b'x'; 10_000]].concat();
        assert_eq!(parse(&long), [Notice::Status("x".repeat(STATUS_CHARACTERS_MAX))]);
        assert_eq!(parse(&[vec![b'x'; BYTES_MAX], b"\nREADY=1".to_vec()].concat()), []);
    }
}
