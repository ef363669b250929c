//! The lines in which a node says how it is, as its console takes them out of the stream. What splits them is linked
//! here as it stands.

use node_protocol::call::Status;

use self::lines::{Lines, TooLong};

#[path = "../../crates/channel/src/lines.rs"]
mod lines;

/// Short, so that it is reached.
const LONGEST: usize = 4096;

/// In one piece or byte by byte: the same lines, each with its end and none too long, and the same end.
pub fn status_lines(bytes: &[u8]) {
    let (whole, whole_end) = taken(std::iter::once(bytes));
    let (parts, parts_end) = taken(bytes.chunks(1));
    assert_eq!((&whole, whole_end), (&parts, parts_end));
    for line in &whole {
        assert!(
            line.len() <= LONGEST + 1 && line.iter().position(|byte| *byte == b'\n') == Some(line.len() - 1)
        );
        if let Ok(status) = serde_json::from_slice::<Status>(line) {
            let text = serde_json::to_vec(&status).expect("what was read can be written");
            assert!(serde_json::from_slice::<Status>(&text).is_ok());
        }
    }
    let length: usize = whole.iter().map(Vec::len).sum();
    assert_eq!(whole.concat(), bytes[..length], "nothing is lost");
}

fn taken<'a>(parts: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, Option<TooLong>) {
    let (mut lines, mut found) = (Lines::new(LONGEST), Vec::new());
    for part in parts {
        lines.push(part);
        loop {
            match lines.next_line() {
                Ok(Some(line)) => found.push(line),
                Ok(None) => break,
                Err(too_long) => return (found, Some(too_long)),
            }
        }
    }
    (found, None)
}
