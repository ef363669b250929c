//! What passes the links of a facility: every frame, and the connections that they are parts of.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use os::packet::Recorder;
use os::poll::{Wanted, wait};

use crate::facility::Facility;
use crate::failed::{Act, Failed};

/// How far behind the beginning of a connection a segment may lie to be a part of it.
const STREAM_BYTES_MAX: u32 = 1 << 28;
const SYN: u8 = 2;
const TCP: u8 = 6;

/// Hears every frame until it is finished.
#[derive(Debug)]
pub struct Recording {
    /// Each thread ends when its other end goes.
    stops: Vec<UnixStream>,
    threads: Vec<JoinHandle<Result<Vec<Vec<u8>>, Failed>>>,
}

/// What was heard.
#[derive(Debug, Default)]
pub struct Recorded {
    frames: Vec<Vec<u8>>,
}

/// One direction of a TCP connection over IPv4.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Who said it.
    pub from: SocketAddrV4,
    /// Whom it was said to.
    pub to: SocketAddrV4,
    /// All that was said, from the first byte to the first that was not heard.
    pub bytes: Vec<u8>,
}

impl Facility {
    /// Hears from now on every frame on every link of the network namespaces called `PREFIX-name`, also on links
    /// that come later.
    ///
    /// # Errors
    /// When there is no such namespace, or the kernel refuses.
    pub fn record(&self, names: &[&str]) -> Result<Recording, Failed> {
        let mut recording = Recording { stops: Vec::new(), threads: Vec::new() };
        for name in names {
            let act = || format!("record what passes the links of {name:?}");
            let recorder = self.namespace(name)?.run(Recorder::open).act(act)?.act(act)?;
            let (stop, stopped) = UnixStream::pair().act(act)?;
            recording.stops.push(stop);
            recording.threads.push(thread::spawn(move || record(&recorder, &stopped)));
        }
        Ok(recording)
    }
}

impl Recording {
    /// Ends it.
    ///
    /// # Errors
    /// When a frame passed that was not kept.
    pub fn finish(self) -> Result<Recorded, Failed> {
        drop(self.stops);
        let mut recorded = Recorded::default();
        for thread in self.threads {
            let heard =
                thread.join().map_err(|_panic| Failed::new("record frames", "the thread panicked"))?;
            recorded.frames.append(&mut heard?);
        }
        Ok(recorded)
    }
}

fn record(recorder: &Recorder, stopped: &UnixStream) -> Result<Vec<Vec<u8>>, Failed> {
    let act = || "record frames".to_owned();
    let mut frames = Vec::new();
    loop {
        let ready =
            wait(&[(recorder.as_fd(), Wanted::READ), (stopped.as_fd(), Wanted::READ)], None).act(act)?;
        while let Some(frame) = recorder.receive().act(act)? {
            frames.push(frame);
        }
        if ready.last() == Some(&true) {
            let lost = recorder.lost().act(act)?;
            return if lost == 0 { Ok(frames) } else { Err(format!("{lost} were lost")).act(act) };
        }
    }
}

impl Recorded {
    /// Every frame, as often as a link carried it.
    #[must_use]
    pub fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// Both directions of every connection whose beginning was heard, in no order.
    #[must_use]
    pub fn streams(&self) -> Vec<Stream> {
        let segments: Vec<Segment<'_>> = self.frames.iter().filter_map(|frame| Segment::of(frame)).collect();
        let mut parts: BTreeMap<(SocketAddrV4, SocketAddrV4, u32), BTreeMap<u32, &[u8]>> = BTreeMap::new();
        for segment in segments.iter().filter(|segment| segment.begins) {
            // The beginning counts as one byte (RFC 9293 §3.4).
            parts.entry((segment.from, segment.to, segment.sequence.wrapping_add(1))).or_default();
        }
        for segment in segments.iter().filter(|segment| !segment.content.is_empty()) {
            let first = (segment.from, segment.to, 0);
            let last = (segment.from, segment.to, u32::MAX);
            let distance = |begin: u32| segment.sequence.wrapping_sub(begin);
            let nearest = parts.range_mut(first..=last).min_by_key(|((_, _, begin), _)| distance(*begin));
            if let Some(((_, _, begin), known)) =
                nearest.filter(|((.., begin), _)| distance(*begin) < STREAM_BYTES_MAX)
            {
                let part = known.entry(distance(*begin)).or_default();
                if part.len() < segment.content.len() {
                    *part = segment.content;
                }
            }
        }
        let streams = parts.into_iter();
        streams.map(|((from, to, _), parts)| Stream { from, to, bytes: joined(&parts) }).collect()
    }
}

/// The parts in a row, those that were said twice once.
fn joined(parts: &BTreeMap<u32, &[u8]>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (at, part) in parts {
        let Some(known) = usize::try_from(*at).ok().and_then(|at| bytes.len().checked_sub(at)) else { break };
        bytes.extend_from_slice(part.get(known..).unwrap_or_default());
    }
    bytes
}

/// A segment of TCP.
struct Segment<'a> {
    from: SocketAddrV4,
    to: SocketAddrV4,
    begins: bool,
    sequence: u32,
    content: &'a [u8],
}

impl<'a> Segment<'a> {
    /// That of an Ethernet frame, if it carries a whole one over IPv4 (RFC 791, RFC 9293).
    fn of(frame: &'a [u8]) -> Option<Self> {
        let packet = frame.get(12..)?.strip_prefix(&[8, 0])?;
        let words = |byte: u8| usize::from(byte & 0x0f) * 4;
        // Between namespaces a long packet may say 0 bytes: then it goes to the frame's end.
        let length = match usize::from(number(packet, 2)?) {
            0 => packet.len(),
            length => length,
        };
        let packet = packet.get(..length)?;
        if *packet.get(9)? != TCP {
            return None;
        }
        let address = |at: usize| Some(Ipv4Addr::from(*packet.get(at..)?.first_chunk::<4>()?));
        let (from, to) = (address(12)?, address(16)?);
        let tcp = packet.get(words(*packet.first()?)..)?;
        Some(Self {
            from: SocketAddrV4::new(from, number(tcp, 0)?),
            to: SocketAddrV4::new(to, number(tcp, 2)?),
            begins: tcp.get(13)? & SYN != 0,
            sequence: u32::from_be_bytes(*tcp.get(4..)?.first_chunk()?),
            content: tcp.get(words(tcp.get(12)? >> 4)..)?,
        })
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(ports: [u8; 2], sequence: u32, begins: bool, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(40 + content.len()).unwrap();
        let mut frame = vec![0; 12];
        frame.extend([8, 0, 0x45, 0, 0, length, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        frame.extend([0, ports[0], 0, ports[1]]);
        frame.extend(sequence.to_be_bytes());
        frame.extend([0, 0, 0, 0, 0x50, u8::from(begins) * 2, 0, 0, 0, 0, 0, 0]);
        frame.extend(content);
        frame
    }

    /// Whatever is heard twice, late, or of two connections between the same ports.
    #[test]
    fn connections_are_put_together() {
        let near_the_end = u32::MAX - 2;
        let frames = vec![
            frame([1, 2], near_the_end, true, b""),
            frame([1, 2], near_the_end + 1, false, b"ab"),
            frame([1, 2], 2, false, b"ef"),
            frame([1, 2], near_the_end + 1, false, b"ab"),
            frame([1, 2], u32::MAX, false, b"bcde"),
            frame([1, 2], 1_000_000_000, true, b""),
            frame([1, 2], 1_000_000_001, false, b"second"),
            frame([2, 1], 7, true, b""),
            frame([2, 1], 8, false, b"x"),
            frame([2, 1], 10, false, b"after a gap"),
            frame([3, 1], 10, false, b"without beginning"),
            b"no frame".to_vec(),
        ];
        let recorded = Recorded { frames };
        let mut said: Vec<_> =
            recorded.streams().into_iter().map(|stream| (stream.from.port(), stream.bytes)).collect();
        said.sort();
        assert_eq!(said, [(1, b"abcdef".to_vec()), (1, b"second".to_vec()), (2, b"x".to_vec())]);
    }
}
