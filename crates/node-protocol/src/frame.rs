//! Frames: `<u32: length of the JSON> <u32: length of the attachment> <JSON> <attachment>`, big-endian.
//!
//! A length that a peer names is never believed: it is compared with a limit at once, and memory is
//! taken only for bytes that have arrived.

use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// The longest JSON of a message.
pub const JSON_BYTES_MAX: usize = 1024 * 1024;

/// The longest attachment: an object.
pub const ATTACHMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

const HEADER_BYTES: usize = 8;

/// One message as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    json: Vec<u8>,
    /// The plain bytes that go along.
    pub attachment: Vec<u8>,
}

/// Why bytes are no frame, or a frame no message.
#[derive(Debug, Error)]
pub enum FrameError {
    /// A length over its limit.
    #[error("a message of {json} and {attachment} bytes is too long")]
    TooLong {
        /// Of JSON.
        json: usize,
        /// Of attachment.
        attachment: usize,
    },
    /// The JSON is not the message that is expected here.
    #[error("the message is not one that is known here")]
    Json(#[source] serde_json::Error),
    /// The stream ended in mid-frame.
    #[error("the stream ended in the middle of a message")]
    Ended,
    /// The stream failed.
    #[error("the stream failed")]
    Stream(#[source] io::Error),
}

impl Frame {
    /// The message in the frame.
    ///
    /// # Errors
    /// [`FrameError::Json`].
    pub fn message<T: DeserializeOwned>(&self) -> Result<T, FrameError> {
        serde_json::from_slice(&self.json).map_err(FrameError::Json)
    }
}

/// A message as a frame.
///
/// # Errors
/// [`FrameError::TooLong`], and [`FrameError::Json`] for what has no JSON form.
pub fn encode(message: &impl Serialize, attachment: &[u8]) -> Result<Vec<u8>, FrameError> {
    let json = serde_json::to_vec(message).map_err(FrameError::Json)?;
    let lengths = check_lengths(json.len(), attachment.len())?;
    let mut bytes = Vec::with_capacity(HEADER_BYTES + json.len() + attachment.len());
    for length in lengths {
        bytes.extend_from_slice(&length.to_be_bytes());
    }
    bytes.extend_from_slice(&json);
    bytes.extend_from_slice(attachment);
    Ok(bytes)
}

/// Writes one message to a stream that blocks.
///
/// # Errors
/// Those of [`encode`], and [`FrameError::Stream`].
pub fn write(stream: &mut impl Write, message: &impl Serialize, attachment: &[u8]) -> Result<(), FrameError> {
    let bytes = encode(message, attachment)?;
    stream.write_all(&bytes).and_then(|()| stream.flush()).map_err(FrameError::Stream)
}

/// Reads one frame from a stream that blocks; none at a clean end.
///
/// # Errors
/// [`FrameError::TooLong`], [`FrameError::Ended`], [`FrameError::Stream`].
pub fn read(stream: &mut impl Read) -> Result<Option<Frame>, FrameError> {
    let mut decoder = Decoder::default();
    loop {
        if let Some(frame) = decoder.frame()? {
            return Ok(Some(frame));
        }
        // Never more than is missing: what comes behind belongs to the next reader.
        let mut part = [0; 64 * 1024];
        let room = decoder.missing().min(part.len());
        match stream.read(part.get_mut(..room).unwrap_or_default()) {
            Ok(0) if decoder.is_empty() => return Ok(None),
            Ok(0) => return Err(FrameError::Ended),
            Ok(length) => decoder.push(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FrameError::Stream(error)),
        }
    }
}

/// Puts frames together from whatever parts arrive. After an error it gives that error for ever: the
/// connection has no more meaning.
#[derive(Debug)]
pub struct Decoder {
    bytes: Vec<u8>,
    json_max: usize,
    attachment_max: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::limited(JSON_BYTES_MAX, ATTACHMENT_BYTES_MAX)
    }
}

impl Decoder {
    /// For a peer whose messages are never longer than that; not beyond the limits of all frames.
    #[must_use]
    pub fn limited(json_max: usize, attachment_max: usize) -> Self {
        let [json_max, attachment_max] =
            [json_max.min(JSON_BYTES_MAX), attachment_max.min(ATTACHMENT_BYTES_MAX)];
        Self { bytes: Vec::new(), json_max, attachment_max }
    }

    /// Takes bytes that have arrived. The caller reads no more before [`Self::frame`] has nothing to give,
    /// so that this never holds more than one frame and one read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame, if it has arrived.
    ///
    /// # Errors
    /// [`FrameError::TooLong`], as soon as the lengths have arrived.
    pub fn frame(&mut self) -> Result<Option<Frame>, FrameError> {
        let Some((json, attachment)) = self.lengths() else { return Ok(None) };
        if json > self.json_max || attachment > self.attachment_max {
            return Err(FrameError::TooLong { json, attachment });
        }
        if self.bytes.len() < HEADER_BYTES + json + attachment {
            return Ok(None);
        }
        let rest = self.bytes.split_off(HEADER_BYTES + json + attachment);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        let attachment = frame.split_off(HEADER_BYTES + json);
        Ok(Some(Frame { json: frame.split_off(HEADER_BYTES), attachment }))
    }

    /// Whether nothing of a next frame has arrived: then the stream may end.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// How many bytes are missing of what is known of the next frame; at least one.
    fn missing(&self) -> usize {
        let wanted = match self.lengths() {
            Some((json, attachment)) => HEADER_BYTES + json + attachment,
            None => HEADER_BYTES,
        };
        wanted.saturating_sub(self.bytes.len()).max(1)
    }

    fn lengths(&self) -> Option<(usize, usize)> {
        let (json, rest) = self.bytes.split_first_chunk()?;
        let attachment = rest.first_chunk()?;
        let length = |bytes| usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX);
        Some((length(*json), length(*attachment)))
    }
}

fn check_lengths(json: usize, attachment: usize) -> Result<[u32; 2], FrameError> {
    let too_long = FrameError::TooLong { json, attachment };
    if json > JSON_BYTES_MAX || attachment > ATTACHMENT_BYTES_MAX {
        return Err(too_long);
    }
    match (u32::try_from(json), u32::try_from(attachment)) {
        (Ok(json), Ok(attachment)) => Ok([json, attachment]),
        (Err(_), _) | (_, Err(_)) => Err(too_long),
    }
}
