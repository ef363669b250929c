//! An open connection, and a stream of single bytes over it that shows when it is cut.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crate::host::wire::Streamed;

/// A connection that the lab asked for.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    answers: Arc<AtomicU64>,
    last_ns: Arc<AtomicU64>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, answers: Arc::default(), last_ns: Arc::default() }
    }

    /// Begins to stream, on a thread that ends with the connection.
    pub(super) fn begin(&mut self) -> std::io::Result<()> {
        let mut stream = self.stream.try_clone()?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(None)?;
        let (answers, last_ns) = (Arc::clone(&self.answers), Arc::clone(&self.last_ns));
        thread::spawn(move || {
            let mut byte = [b'.'];
            while stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte)).is_ok() {
                let now = u64::try_from(os::clock::monotonic().as_nanos()).unwrap_or(u64::MAX);
                last_ns.store(now, Ordering::Relaxed);
                answers.fetch_add(1, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    pub(super) fn streamed(&self) -> Streamed {
        Streamed {
            answers: self.answers.load(Ordering::Relaxed),
            last_ns: self.last_ns.load(Ordering::Relaxed),
        }
    }
}
