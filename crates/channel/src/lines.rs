//! Lines out of a stream that may lie about where they end.

/// What has come of a stream of lines, and is not taken.
#[derive(Debug)]
pub(crate) struct Lines {
    bytes: Vec<u8>,
    /// So many bytes have no end of line among them.
    searched: usize,
    longest: usize,
}

/// More came than a line may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    /// None has come. A line that is longer than `longest` is none.
    pub(crate) const fn new(longest: usize) -> Self {
        Self { bytes: Vec::new(), searched: 0, longest }
    }

    /// Takes what has come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole line, with its end.
    pub(crate) fn next_line(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let unsearched = self.bytes.get(self.searched..).unwrap_or_default();
        let end = unsearched.iter().position(|byte| *byte == b'\n').map(|found| self.searched + found + 1);
        // With its end it has one byte more.
        if end.map_or(self.bytes.len(), |end| end - 1) > self.longest {
            return Err(TooLong);
        }
        let Some(end) = end else {
            self.searched = self.bytes.len();
            return Ok(None);
        };
        let rest = self.bytes.split_off(end);
        self.searched = 0;
        Ok(Some(std::mem::replace(&mut self.bytes, rest)))
    }
}
