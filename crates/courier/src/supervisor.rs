//! The stream to the supervisor: calls go out with a number and are answered by it; statuses and the list of
//! consoles come in.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use channel::Serve;
use node_protocol::call::{Answer, Call, Refused, Status, code};
use node_protocol::courier::{Begin, CALLS_OPEN_MAX, Console, FromCourier, ToCourier};
use node_protocol::{Decoder, FrameError, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::Ended;

/// Bytes read at once.
const PART: usize = 64 * 1024;

/// The supervisor's first words.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) begin: Begin,
    /// The socket to custody.
    pub(crate) custody: OwnedFd,
    /// What came behind.
    pub(crate) rest: Decoder,
}

impl Beginning {
    /// Reads them, and waits for them.
    pub(crate) fn read(stream: UnixStream) -> Result<(Self, UnixStream), Ended> {
        let (mut rest, mut descriptors, mut part) = (Decoder::default(), Vec::new(), vec![0; PART]);
        stream.set_nonblocking(false).map_err(|error| Ended::System("wait", error))?;
        loop {
            if let Some(frame) = rest.frame()? {
                let (ToCourier::Begin(begin), Some(custody)) = (frame.message()?, descriptors.pop()) else {
                    return Err(Ended::Beginning);
                };
                return Ok((Self { begin, custody, rest }, stream));
            }
            match os::descriptor::receive(&stream, &mut part, &mut descriptors) {
                Ok(0) => return Err(Ended::Gone),
                Ok(length) => rest.push(part.get(..length).unwrap_or_default()),
                Err(error) => return Err(Ended::System("hear the supervisor", error)),
            }
        }
    }
}

/// An answer and its attachment.
type Answered = Box<(Answer, Vec<u8>)>;

/// A call that is open: who waits for its answer, and its place among the open ones.
struct Open {
    answer: oneshot::Sender<Answered>,
    _place: OwnedSemaphorePermit,
}

#[derive(Default)]
struct Calling {
    open: BTreeMap<u64, Open>,
    last: u64,
}

/// The way of the consoles' calls to the supervisor.
pub(crate) struct Calls {
    calling: Arc<Mutex<Calling>>,
    places: Arc<Semaphore>,
    /// Has room for every call that has a place.
    writer: mpsc::Sender<Vec<u8>>,
    statuses: watch::Sender<Option<Bytes>>,
}

/// What the supervisor says.
pub(crate) struct Hearing {
    reader: OwnedReadHalf,
    decoder: Decoder,
    part: Vec<u8>,
    calling: Arc<Mutex<Calling>>,
    statuses: watch::Sender<Option<Bytes>>,
}

/// Both ways of the stream.
pub(crate) fn join(stream: UnixStream, rest: Decoder) -> io::Result<(Calls, Hearing)> {
    stream.set_nonblocking(true)?;
    let (reader, writer) = tokio::net::UnixStream::from_std(stream)?.into_split();
    let calling = Arc::<Mutex<Calling>>::default();
    let (to_writer, calls) = mpsc::channel(CALLS_OPEN_MAX);
    tokio::spawn(write(writer, calls));
    let (statuses, _none) = watch::channel(None);
    let calls = Calls {
        calling: Arc::clone(&calling),
        places: Arc::new(Semaphore::new(CALLS_OPEN_MAX)),
        writer: to_writer,
        statuses: statuses.clone(),
    };
    let part = vec![0; PART];
    Ok((calls, Hearing { reader, decoder: rest, part, calling, statuses }))
}

impl Hearing {
    /// Hands on answers and statuses, until the consoles change.
    pub(crate) async fn next(&mut self) -> Result<Vec<Console>, Ended> {
        loop {
            while let Some(frame) = self.decoder.frame()? {
                match frame.message()? {
                    ToCourier::Begin(_) => return Err(Ended::Beginning),
                    ToCourier::Consoles(consoles) => return Ok(consoles),
                    ToCourier::Status(status) => self.status(&status)?,
                    ToCourier::Answer { number, answer } => {
                        let open = lock(&self.calling).open.remove(&number);
                        // Whoever asked may have hung up.
                        if let Some(open) = open {
                            drop(open.answer.send(Box::new((answer, frame.attachment))));
                        }
                    }
                }
            }
            match self.reader.read(&mut self.part).await {
                Ok(0) => return Err(Ended::Gone),
                Ok(length) => self.decoder.push(self.part.get(..length).unwrap_or_default()),
                Err(error) => return Err(Ended::System("hear the supervisor", error)),
            }
        }
    }

    fn status(&self, status: &Status) -> Result<(), Ended> {
        let mut line = serde_json::to_vec(status).map_err(FrameError::Json)?;
        line.push(b'\n');
        self.statuses.send_replace(Some(line.into()));
        Ok(())
    }
}

impl Calls {
    /// Sends a call; the answer comes by the receiver. Nothing if there is no supervisor any more.
    async fn send(&self, call: Call, attachment: &[u8]) -> Option<oneshot::Receiver<Answered>> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        // From here on nothing waits, so that a call is sent and has its place whoever hangs up.
        let (answer, answered) = oneshot::channel();
        let mut calling = lock(&self.calling);
        calling.last += 1;
        let number = calling.last;
        let bytes = encode(&FromCourier::Call { number, call }, attachment).ok()?;
        self.writer.try_send(bytes).ok()?;
        calling.open.insert(number, Open { answer, _place: place });
        Some(answered)
    }
}

/// Writes calls one after the other, each to its end. A supervisor that is gone is noticed by the reader.
async fn write(mut writer: OwnedWriteHalf, mut calls: mpsc::Receiver<Vec<u8>>) {
    while let Some(call) = calls.recv().await {
        if writer.write_all(&call).await.is_err() {
            return;
        }
    }
}

impl Serve for Calls {
    async fn call(&self, call: Call, attachment: Vec<u8>) -> (Answer, Vec<u8>) {
        if let Some(answered) = self.send(call, &attachment).await
            && let Ok(answer) = answered.await
        {
            return *answer;
        }
        let message = "the node's supervisor does not answer".to_owned();
        let refused = Refused { code: code::FAILED.to_owned(), exit: 1, message, hint: None, details: None };
        (Answer::Refused(refused), Vec::new())
    }

    fn statuses(&self) -> watch::Receiver<Option<Bytes>> {
        self.statuses.subscribe()
    }
}

fn lock(calling: &Mutex<Calling>) -> MutexGuard<'_, Calling> {
    calling.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use node_protocol::frame;

    use super::*;

    /// The courier's side, and the supervisor's, which blocks.
    fn joined() -> (Calls, Hearing, UnixStream) {
        let (here, there) = UnixStream::pair().unwrap();
        let (calls, hearing) = join(here, Decoder::default()).unwrap();
        (calls, hearing, there)
    }

    fn heard(there: &mut UnixStream) -> (u64, Call) {
        let FromCourier::Call { number, call } = frame::read(there).unwrap().unwrap().message().unwrap();
        (number, call)
    }

    fn reading(from: u64) -> Call {
        Call::ReadJournal { from }
    }

    fn answer(there: &mut UnixStream, number: u64, newest: u64) {
        let answer = ToCourier::Answer { number, answer: Answer::Lines { oldest: 1, newest, head: None } };
        frame::write(there, &answer, b"lines").unwrap();
    }

    #[tokio::test]
    async fn answers_find_their_calls_in_any_order() {
        let (calls, mut hearing, mut there) = joined();
        let supervisor = std::thread::spawn(move || {
            let (first, second) = (heard(&mut there), heard(&mut there));
            // An answer to nothing is no harm.
            answer(&mut there, 77, 77);
            for (number, call) in [second, first] {
                let Call::ReadJournal { from } = call else { panic!("{call:?}") };
                answer(&mut there, number, from);
            }
            there
        });
        let both =
            async { tokio::join!(calls.call(reading(1), Vec::new()), calls.call(reading(2), Vec::new())) };
        let answers = tokio::select! {
            ended = hearing.next() => panic!("{ended:?}"),
            answers = both => answers,
        };
        for (at, (answer, attachment)) in [(1, answers.0), (2, answers.1)] {
            assert_eq!(
                (answer, attachment),
                (Answer::Lines { oldest: 1, newest: at, head: None }, b"lines".to_vec())
            );
        }
        supervisor.join().unwrap();
    }

    /// Consoles that ask and hang up take places until the supervisor has answered, and no more than there are.
    #[tokio::test]
    async fn calls_that_nobody_awaits_keep_their_places_until_they_are_answered() {
        let (calls, mut hearing, mut there) = joined();
        for from in 0..20 {
            let asked = calls.call(reading(from), Vec::new());
            let waited = tokio::time::timeout(std::time::Duration::from_millis(1), asked).await;
            assert!(waited.is_err());
        }
        assert_eq!(lock(&calls.calling).open.len(), CALLS_OPEN_MAX);
        let supervisor = std::thread::spawn(move || {
            for _ in 0..CALLS_OPEN_MAX + 1 {
                let (number, _call) = heard(&mut there);
                answer(&mut there, number, number);
            }
            there
        });
        let (answer, _lines) = tokio::select! {
            ended = hearing.next() => panic!("{ended:?}"),
            answer = calls.call(reading(99), Vec::new()) => answer,
        };
        assert!(matches!(answer, Answer::Lines { .. }));
        supervisor.join().unwrap();
    }

    #[tokio::test]
    async fn what_is_not_from_a_supervisor_ends_the_courier() {
        for said in [b"garbage that is long enough".to_vec(), vec![0xff; 8], encode(&"other", b"").unwrap()] {
            let (_calls, mut hearing, mut there) = joined();
            there.write_all(&said).unwrap();
            assert!(matches!(hearing.next().await, Err(Ended::Frame(_))));
        }
        let (_calls, mut hearing, there) = joined();
        drop(there);
        assert!(matches!(hearing.next().await, Err(Ended::Gone)));
    }

    #[test]
    fn a_beginning_without_a_socket_to_custody_is_none() {
        let (here, mut there) = UnixStream::pair().unwrap();
        frame::write(&mut there, &ToCourier::Consoles(Vec::new()), b"").unwrap();
        assert!(matches!(Beginning::read(here), Err(Ended::Beginning)));
    }
}
