//! A stream that can be cut: from that moment nothing more is read or written, and the socket is closed.
//!
//! The HTTP library keeps a connection in tasks of its own; what is cut here ends whatever holds it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Holds a connection open: it is cut when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    _dropped: watch::Sender<()>,
}

/// Tells when the hold is gone.
#[derive(Debug, Clone)]
pub(crate) struct Held(watch::Receiver<()>);

/// A hold and who looks at it.
pub(crate) fn hold() -> (Hold, Held) {
    let (hold, held) = watch::channel(());
    (Hold { _dropped: hold }, Held(held))
}

impl Held {
    /// Comes back when the hold is gone.
    pub(crate) async fn gone(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// A stream that ends when its hold is gone.
pub(crate) struct Cut<S> {
    /// None once it is cut.
    stream: Option<S>,
    gone: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> Cut<S> {
    pub(crate) fn new(stream: S, held: Held) -> Self {
        Self { stream: Some(stream), gone: Box::pin(held.gone()) }
    }

    fn stream(&mut self, context: &mut Context<'_>) -> io::Result<&mut S> {
        if self.stream.is_some() && self.gone.as_mut().poll(context).is_ready() {
            self.stream = None;
        }
        self.stream.as_mut().ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cut<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.stream(context) {
            Ok(stream) => Pin::new(stream).poll_read(context, into),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cut<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.stream(context) {
            Ok(stream) => Pin::new(stream).poll_write(context, from),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream(context) {
            Ok(stream) => Pin::new(stream).poll_flush(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.stream(context) {
            Ok(stream) => Pin::new(stream).poll_shutdown(context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
