//! What takes longer than a turn of the loop may is worked out beside it: what ten thousand rules mean, and which flows
//! there are. One thread for each kind of question, one question after the other; it has no state, and what it finds is
//! taken in by the loop.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::Builder;

/// The loop's end of the thread.
#[derive(Debug)]
pub(crate) struct Study<Question, Found> {
    questions: Sender<(u64, Question)>,
    /// Each with the number under which it was asked.
    answers: Receiver<(u64, Found)>,
    /// Has a byte for each answer.
    bell: UnixStream,
    open: usize,
}

/// The thread is gone, which only a fault of this program ends.
#[derive(Debug, thiserror::Error)]
#[error("what works out boundaries and flows has ended")]
pub(crate) struct Gone;

impl<Question: Send + 'static, Found: Send + 'static> Study<Question, Found> {
    /// Starts the thread. After the process has given up its rights: a thread has those of who starts it.
    pub(crate) fn start(name: &str, find: fn(Question) -> Found) -> io::Result<Self> {
        let (questions, asked) = channel::<(u64, Question)>();
        let (answer, answers) = channel();
        let (bell, mut ring) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ring.set_nonblocking(true)?;
        Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok((number, question)) = asked.recv() {
                if answer.send((number, find(question))).is_err() {
                    return;
                }
                // A full pipe wakes the loop as well.
                ring.write(&[0]).unwrap_or_default();
            }
        })?;
        Ok(Self { questions, answers, bell, open: 0 })
    }

    /// Asks. The answer comes in a later turn.
    pub(crate) fn ask(&mut self, number: u64, question: Question) -> Result<(), Gone> {
        self.open += 1;
        self.questions.send((number, question)).map_err(|_closed| Gone)
    }

    /// What was answered since, each with its number.
    pub(crate) fn turn(&mut self) -> Result<Vec<(u64, Found)>, Gone> {
        let mut rings = [0; 64];
        while matches!(self.bell.read(&mut rings), Ok(1..)) {}
        let mut answered = Vec::new();
        loop {
            match self.answers.try_recv() {
                Ok(answer) => answered.push(answer),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return Err(Gone),
            }
        }
        self.open = self.open.saturating_sub(answered.len());
        Ok(answered)
    }

    /// Whether nothing is asked that is not answered.
    pub(crate) const fn is_idle(&self) -> bool {
        self.open == 0
    }

    /// What to wait for.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}
