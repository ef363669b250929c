//! A stream that remembers every byte.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What went through a stream, each way.
#[derive(Debug, Clone, Default)]
pub(super) struct Taken(Arc<Mutex<[Vec<u8>; 2]>>);

impl Taken {
    pub(super) fn read(&self) -> Vec<u8> {
        self.0.lock().unwrap()[0].clone()
    }

    pub(super) fn written(&self) -> Vec<u8> {
        self.0.lock().unwrap()[1].clone()
    }
}

pub(super) struct Tap<S>(pub(super) S, pub(super) Taken);

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, into))?;
        self.1.0.lock().unwrap()[0].extend_from_slice(&into.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        let length = ready!(Pin::new(&mut self.0).poll_write(context, from))?;
        self.1.0.lock().unwrap()[1].extend_from_slice(&from[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Whether some bytes stand in others.
pub(super) fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// A stream that can go dead, as when the cable to the peer is cut: nothing arrives, nothing is refused.
pub(super) struct Dying<S>(pub(super) S, pub(super) Arc<std::sync::atomic::AtomicBool>);

impl<S> Dying<S> {
    fn is_dead(&self) -> bool {
        self.1.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Dying<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(context, into))?;
        if self.is_dead() {
            into.set_filled(before);
            // The inner stream wakes this task again when more arrives: that is dropped, too.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Dying<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_dead() {
            return Poll::Ready(Ok(from.len()));
        }
        Pin::new(&mut self.0).poll_write(context, from)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dead() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
