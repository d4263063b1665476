//! A connection's bytes, and how long the other side may take: to send a head, to be idle between two requests, to read a
//! response.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use prometheus_client::metrics::{counter::Counter, family::Family};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    activity::{Activity, Phase},
    refusal,
};
use crate::metrics::ClosedLabels;

/// How long the other side may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For a request's head, from its first byte on; and for a new connection's first byte.
    pub(super) head: Duration,
    /// Between two requests.
    pub(super) keep_alive: Duration,
    /// To read anything at all of an answer that waits; and all waits of one answer together, but for what
    /// [`SLOWEST_READER`] allows.
    pub(super) stall: Duration,
}

/// A client that reads fewer bytes per second than this counts as not reading. It is measured only while data waits to be read, so
/// a stream of events may be silent for any time.
const SLOWEST_READER: u64 = 1024;

/// How long, and how much, is read and discarded after the last response.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 16 << 20;

/// A connection with timeouts.
pub(super) struct Stream<S> {
    inner: S,
    activity: Arc<Activity>,
    patience: Patience,
    closed: Family<ClosedLabels, Counter>,
    began: Instant,
    last_progress: Instant,
    reading: Alarm,
    first_line: Line,
    writing: Alarm,
    answer: Answer,
    /// Our response that replaces the HTTP library's empty one, and how much of it has been sent.
    substitute: Option<(Vec<u8>, usize)>,
    leaving: Option<Leaving>,
}

/// How a response is being read.
#[derive(Default)]
struct Answer {
    exchange: u32,
    written: u64,
    waited: Duration,
    waits_since: Option<Instant>,
}

/// The first line of the head that is being read.
#[derive(Default)]
struct Line {
    length: usize,
    has_ended: bool,
}

impl Line {
    fn read(&mut self, bytes: &[u8]) {
        if !self.has_ended {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.length += end.unwrap_or(bytes.len());
            self.has_ended = end.is_some();
        }
    }
}

struct Leaving {
    until: Instant,
    read: usize,
}

/// A timer that is reset only when it is too late or has fired, because resetting costs more than reading the clock.
#[derive(Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `deadline` has passed.
    fn poll(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

impl<S> Stream<S> {
    pub(super) fn new(
        inner: S,
        activity: Arc<Activity>,
        patience: Patience,
        closed: Family<ClosedLabels, Counter>,
    ) -> Self {
        let now = Instant::now();
        Self {
            inner,
            activity,
            patience,
            closed,
            began: now,
            last_progress: now,
            reading: Alarm::default(),
            first_line: Line::default(),
            writing: Alarm::default(),
            answer: Answer::default(),
            substitute: None,
            leaving: None,
        }
    }

    fn has_read(&mut self, bytes: &[u8]) {
        let now = Instant::now();
        self.last_progress = now;
        self.activity.progressed(now);
        if matches!(self.activity.phase(), Phase::Silent | Phase::Idle) {
            self.activity.enter(Phase::Head);
            self.began = now;
            self.first_line = Line::default();
        }
        self.first_line.read(bytes);
    }

    /// Until when the other side may be silent, and the name of the reason if it is silent for longer.
    fn read_deadline(&self) -> Option<(Instant, &'static str)> {
        match self.activity.phase() {
            Phase::Silent => Some((self.began + self.patience.head, "silent")),
            Phase::Head => Some((self.began + self.patience.head, "slow_head")),
            Phase::Idle => Some((self.last_progress + self.patience.keep_alive, "idle")),
            Phase::Busy | Phase::Leaving => None,
        }
    }

    fn has_written(&mut self, bytes: usize) {
        let now = Instant::now();
        self.last_progress = now;
        self.activity.progressed(now);
        self.answer.written += bytes as u64;
        if let Some(since) = self.answer.waits_since.take() {
            self.answer.waited += now - since;
            self.activity.set_waits_for_client(false);
        }
    }

    /// Ready when the other side has had its time to read.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let exchange = self.activity.exchanges();
        if self.answer.exchange != exchange {
            self.answer = Answer { exchange, ..Answer::default() };
        }
        self.activity.set_waits_for_client(true);
        let since = *self.answer.waits_since.get_or_insert_with(Instant::now);
        let allowed =
            self.patience.stall + Duration::from_millis(self.answer.written * 1000 / SLOWEST_READER);
        let patience = self.patience.stall.min(allowed.saturating_sub(self.answer.waited));
        ready!(self.writing.poll(since + patience, cx));
        Poll::Ready(self.gives_up("slow_reader"))
    }

    fn gives_up(&self, reason: &'static str) -> io::Error {
        self.closed.get_or_create(&ClosedLabels { reason }).inc();
        io::ErrorKind::TimedOut.into()
    }

    /// Whether `head`, all that is about to be written, is the HTTP library's own answer to something that is not a request.
    fn is_automatic(&self, head: &[u8]) -> bool {
        self.activity.phase() != Phase::Busy && refusal::is_automatic(head)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    fn poll_substitute(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some((answer, gone)) = &mut self.substitute {
            if *gone == answer.len() {
                self.substitute = None;
                break;
            }
            match Pin::new(&mut self.inner).poll_write(cx, &answer[*gone..]) {
                Poll::Ready(Ok(bytes)) => {
                    *gone += bytes;
                    self.has_written(bytes);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_stalled(cx).map(Err),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads and discards what the client still sends, until it has read the response and closed its side.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let leaving = self.leaving.get_or_insert_with(|| Leaving { until: Instant::now() + LINGER, read: 0 });
        self.activity.enter(Phase::Leaving);
        let mut scratch = [std::mem::MaybeUninit::uninit(); 16 * 1024];
        while leaving.read < LINGER_BYTES {
            let mut buffer = ReadBuf::uninit(&mut scratch);
            match Pin::new(&mut self.inner).poll_read(cx, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => leaving.read += buffer.filled().len(),
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(self.reading.poll(leaving.until, cx));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        if let Poll::Ready(outcome) = Pin::new(&mut this.inner).poll_read(cx, buffer) {
            if buffer.filled().len() > before {
                this.has_read(&buffer.filled()[before..]);
            }
            return Poll::Ready(outcome);
        }
        let Some((deadline, reason)) = this.read_deadline() else { return Poll::Pending };
        ready!(this.reading.poll(deadline, cx));
        if this.activity.phase() == Phase::Head {
            // For a person who looks; if the socket does not take it, nothing is lost.
            let _ = Pin::new(&mut this.inner).poll_write(cx, &refusal::to_a_slow_head());
        }
        Poll::Ready(Err(this.gives_up(reason)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.as_mut().poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        if let [head] = slices
            && (this.substitute.is_some() || this.is_automatic(head))
        {
            this.substitute.get_or_insert_with(|| (refusal::instead_of(head, this.first_line.length), 0));
            // The client may go on sending for a long time.
            this.activity.linger();
            ready!(this.poll_substitute(cx))?;
            return Poll::Ready(Ok(head.len()));
        }
        match Pin::new(&mut this.inner).poll_write_vectored(cx, slices) {
            Poll::Ready(outcome) => {
                this.has_written(*outcome.as_ref().unwrap_or(&0));
                Poll::Ready(outcome)
            }
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.leaving.is_none() {
            ready!(Pin::new(&mut this.inner).poll_shutdown(cx))?;
            if !this.activity.lingers() {
                return Poll::Ready(Ok(()));
            }
        }
        this.poll_leave(cx)
    }
}
