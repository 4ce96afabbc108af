//! Hangs up on a peer that does not take what it asked for.
//!
//! A response body cannot see to that: once the connection's buffers are full, nobody asks it for more. So the stream
//! below TLS counts how long each write has to wait.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A peer must take this much in the long run; clients give up on a site that sends less.
const MIN_BYTES_PER_SECOND: u64 = 2 * 1024;

/// A stream whose peer has only so much time to take what is written. What it takes gives it new time.
pub(super) struct Patient<S> {
    stream: S,
    patience: Patience,
    /// Since when the current write waits, and when patience ends.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

/// For how long writes may still wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Patience {
    left: Duration,
    most: Duration,
}

impl Patience {
    /// After a write that waited so long until the peer took so many bytes.
    fn after(self, waited: Duration, bytes: usize) -> Self {
        let earned = Duration::from_micros((bytes as u64).saturating_mul(1_000_000) / MIN_BYTES_PER_SECOND);
        Self { left: self.left.saturating_sub(waited).saturating_add(earned).min(self.most), ..self }
    }
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience: Patience { left: patience, most: patience }, waiting: None }
    }

    fn judge(&mut self, context: &mut Context<'_>, write: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = &write {
            let waited = self.waiting.take().map_or(Duration::ZERO, |(since, _)| since.elapsed());
            self.patience = self.patience.after(waited, written.as_ref().map_or(0, |bytes| *bytes));
            return write;
        }
        let left = self.patience.left;
        let (_, end) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
        ready!(end.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes its answer too slowly")))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, write)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let write = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.judge(context, write)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_byte_now_and_then_wears_patience_out_and_a_slow_line_does_not() {
        let patience = Patience { left: MINUTE, most: MINUTE };
        let trickle = (0..7).fold(patience, |patience, _| patience.after(Duration::from_secs(9), 1));
        assert!(trickle.left < Duration::from_secs(1), "{trickle:?}");
        let slow = (0..1000).fold(patience, |patience, _| patience.after(Duration::from_secs(2), 4 * 1024));
        assert_eq!(slow, patience);
    }

    #[test]
    fn patience_is_not_hoarded() {
        let patience = Patience { left: MINUTE, most: MINUTE };
        assert_eq!(patience.after(Duration::ZERO, usize::MAX), patience);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_hung_up_on() {
        let (site, _peer) = tokio::io::duplex(64);
        let refused = Patient::new(site, Duration::from_millis(1)).write_all(&[0; 1024]).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_takes_everything_gets_everything() {
        let (site, mut peer) = tokio::io::duplex(64);
        let send = async move { Patient::new(site, MINUTE).write_all(&[7; 100_000]).await };
        let mut received = Vec::new();
        let (sent, read) = tokio::join!(send, peer.read_to_end(&mut received));
        sent.unwrap();
        assert_eq!(read.unwrap(), 100_000);
    }
}
