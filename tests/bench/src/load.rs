//! A cheap load generator, because it shares the machine with what it measures: HTTP/1.1 with keep-alive, one
//! request at a time on each connection. It parses only as much of a response as is needed to find its end.

use std::{
    net::SocketAddr,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use futures_util::future::try_join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    runtime::Runtime,
};

use crate::report::percentile;

/// Longer than any measured request takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// The request, and how many clients send it at once.
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) request: Vec<u8>,
    pub(crate) expected_status: u16,
    pub(crate) connections: usize,
    pub(crate) threads: usize,
}

/// The result.
#[derive(Debug)]
pub(crate) struct Measured {
    elapsed: Duration,
    /// The latencies of all responses, in ascending order.
    latencies: Vec<Duration>,
}

impl Measured {
    pub(crate) fn answers(&self) -> usize {
        self.latencies.len()
    }

    pub(crate) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.elapsed.as_secs_f64()
    }

    /// A percentile; `0.5` for the median.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        percentile(&self.latencies, share)
    }
}

impl Load {
    /// Sends requests for `time`, on each connection as soon as the last response has arrived. Blocks.
    ///
    /// # Errors
    /// A response is not the expected one; then the measurement would mean nothing.
    pub(crate) fn run(&self, time: Duration) -> anyhow::Result<Measured> {
        let start = Barrier::new(self.threads);
        let per_thread = self.connections.div_ceil(self.threads);
        // One single-threaded runtime per thread, so that nothing moves between threads.
        let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtimes = (0..self.threads).map(|_| runtime()).collect::<Result<Vec<_>, _>>()?;
        let outcomes: Vec<anyhow::Result<(Duration, Vec<Duration>)>> = thread::scope(|scope| {
            let start = &start;
            let thread = |runtime: Runtime| {
                scope.spawn(move || runtime.block_on(self.run_thread(per_thread, start, time)))
            };
            let threads: Vec<_> = runtimes.into_iter().map(thread).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| bail!("a load thread panicked")))
                .collect()
        });
        let mut measured = Measured { elapsed: Duration::ZERO, latencies: Vec::new() };
        for outcome in outcomes {
            let (elapsed, latencies) = outcome?;
            measured.elapsed = measured.elapsed.max(elapsed);
            measured.latencies.extend(latencies);
        }
        measured.latencies.sort_unstable();
        Ok(measured)
    }

    async fn run_thread(
        &self,
        connections: usize,
        start: &Barrier,
        time: Duration,
    ) -> anyhow::Result<(Duration, Vec<Duration>)> {
        let connected = try_join_all((0..connections).map(|_| Connection::open(self.address))).await;
        // Before an error is returned, or the other threads would wait for this one forever.
        start.wait();
        let started = Instant::now();
        let repeat = |connection| self.repeat(connection, started + time);
        let latencies = try_join_all(connected?.into_iter().map(repeat)).await?;
        Ok((started.elapsed(), latencies.concat()))
    }

    async fn repeat(&self, mut connection: Connection, deadline: Instant) -> anyhow::Result<Vec<Duration>> {
        let mut latencies = Vec::new();
        let mut asked_at = Instant::now();
        while asked_at < deadline {
            let status = tokio::time::timeout(PATIENCE, connection.ask(&self.request)).await??;
            if status != self.expected_status {
                let answer = String::from_utf8_lossy(&connection.answer).into_owned();
                bail!("{}: {answer}", self.address);
            }
            let answered_at = Instant::now();
            latencies.push(answered_at - asked_at);
            asked_at = answered_at;
        }
        Ok(latencies)
    }
}

/// A connection, and the last response on it.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) answer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await.with_context(|| address.to_string())?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends `request` and reads the response; returns the status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.stream.write_all(request).await?;
        self.answer.clear();
        let mut end = None;
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            ensure!(read > 0, "the connection was closed before the answer was whole");
            if end.is_none()
                && let Some(head) = end_of_head(&self.answer)
            {
                end = Some(head + content_length(&self.answer[..head])?);
            }
            if end.is_some_and(|end| self.answer.len() >= end) {
                return status(&self.answer);
            }
        }
    }
}

/// The end of the head, including the empty line.
pub(crate) fn end_of_head(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|position| position + 4)
}

fn content_length(head: &[u8]) -> anyhow::Result<usize> {
    const NAME: &[u8] = b"content-length:";
    let line = head
        .split(|byte| *byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))
        .context("an answer without a length")?;
    Ok(std::str::from_utf8(&line[NAME.len()..])?.trim().parse()?)
}

/// `201` of `HTTP/1.1 201 Created`.
fn status(answer: &[u8]) -> anyhow::Result<u16> {
    let digits = answer.get(9..12).context("an answer without a status")?;
    Ok(std::str::from_utf8(digits)?.parse()?)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 5\r\nx-y: z\r\n\r\nhello";
        let head = end_of_head(answer).unwrap();
        assert_eq!(&answer[head..], b"hello");
        assert_eq!(content_length(&answer[..head]).unwrap(), 5);
        assert_eq!(status(answer).unwrap(), 201);
        assert!(content_length(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[tokio::test]
    async fn an_answer_that_comes_in_pieces_is_one_answer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let serve = async {
            for piece in ["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 4\r\n\r", "\nab", "cd"] {
                server.write_all(piece.as_bytes()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let (status, ()) = tokio::join!(connection.ask(b"GET / HTTP/1.1\r\n\r\n"), serve);
        assert_eq!(status.unwrap(), 200);
        assert!(connection.answer.ends_with(b"abcd"));
    }
}
