//! Bodies that a node sends: one message, or lines without end.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Bytes, Frame};
use tokio::sync::watch;

/// A body.
pub(crate) enum Body {
    /// One message, or nothing any more.
    Whole(Option<Bytes>),
    /// The newest line, each time there is one.
    Lines(Next),
}

/// The next line and where the one after comes from; none at the end.
type Next = Pin<Box<dyn Future<Output = Option<(Bytes, watch::Receiver<Option<Bytes>>)>> + Send>>;

impl Body {
    pub(crate) fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// Begins with the line that is there, if there is one.
    pub(crate) fn lines(mut newest: watch::Receiver<Option<Bytes>>) -> Self {
        newest.mark_changed();
        Self::Lines(next(newest))
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::Whole(None)
    }
}

fn next(mut newest: watch::Receiver<Option<Bytes>>) -> Next {
    Box::pin(async move {
        loop {
            newest.changed().await.ok()?;
            let line = newest.borrow_and_update().clone();
            if let Some(line) = line {
                return Some((line, newest));
            }
        }
    })
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Lines(coming) => match coming.as_mut().poll(context) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => {
                    *self = Self::default();
                    Poll::Ready(None)
                }
                Poll::Ready(Some((line, newest))) => {
                    *coming = next(newest);
                    Poll::Ready(Some(Ok(Frame::data(line))))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }
}
