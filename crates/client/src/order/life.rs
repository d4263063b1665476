use std::{collections::VecDeque, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use http::{Method, StatusCode, header};
use reqwest::Response;
use shop_core::{OrderId, OrderStatus};

use super::{
    owner::{KeptOwner, Owner},
    representation::Step,
};
use crate::{Failure, Upstream, sse::Parser};

const EVENT_STREAM: &str = "text/event-stream";

/// How long a stream may be silent. order_service sends a comment more often than that.
const LONGEST_SILENCE: Duration = Duration::from_secs(45);

/// The pauses before a stream that ended too early is opened again. After as many without news, it is given up.
const REOPENING: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(4))
    .with_max_times(5)
    .with_jitter();

/// What happens to an order, step by step, as it happens.
///
/// A stream that breaks off is opened again where it was, as often as there is something new in between. There is no limit in time: whoever
/// follows an order decides how long.
#[derive(Debug)]
pub struct Life {
    upstream: Upstream,
    owner: KeptOwner,
    id: OrderId,
    /// The last step that was told, or that the caller knew.
    last: Option<u64>,
    /// After the last step, nothing but a refund can follow.
    is_settled: bool,
    is_over: bool,
    stream: Option<Stream>,
    told: VecDeque<Step>,
    pauses: ExponentialBackoff,
}

/// An open stream.
#[derive(Debug)]
struct Stream {
    response: Response,
    parser: Parser,
}

/// Why there is no stream, or no longer.
enum Closed {
    /// order_service says that nothing more is going to happen.
    Over,
    /// order_service has ended it: for the same reason, or the stream has reached its longest time, or the service stops.
    Ended,
    Failed(Failure),
}

impl Life {
    /// Opens the stream of an order; `None` if the caller has no order with this id.
    pub(super) async fn open(
        upstream: &Upstream,
        owner: Owner<'_>,
        id: OrderId,
        after: Option<u64>,
    ) -> Result<Option<Self>, Failure> {
        let mut life = Self {
            upstream: upstream.clone(),
            owner: owner.kept(),
            id,
            last: after,
            is_settled: false,
            is_over: false,
            stream: None,
            told: VecDeque::new(),
            pauses: REOPENING.build(),
        };
        match life.connect().await {
            Ok(stream) => life.stream = Some(stream),
            Err(Closed::Over | Closed::Ended) => life.is_over = true,
            Err(Closed::Failed(failure)) if failure.is_refused_with(StatusCode::NOT_FOUND) => {
                return Ok(None);
            }
            Err(Closed::Failed(failure)) => return Err(failure),
        }
        Ok(Some(life))
    }

    /// Returns the next step; `None` when the order's life is over, or when nothing was new in several streams that order_service has
    /// ended. Dropping the future loses no step.
    ///
    /// # Errors
    /// The stream broke off and could not be opened again, or the order is no longer the caller's.
    pub async fn next(&mut self) -> Result<Option<Step>, Failure> {
        while !self.is_over {
            while let Some(step) = self.told.pop_front() {
                if self.last.is_none_or(|last| step.seq > last) {
                    self.note(&step);
                    return Ok(Some(step));
                }
            }
            if let Err(closed) = self.progress().await {
                self.stream = None;
                self.reopen_later(closed).await?;
            }
        }
        Ok(None)
    }

    fn note(&mut self, step: &Step) {
        self.last = Some(step.seq);
        self.is_settled = matches!(step.status, Some(OrderStatus::Delivered | OrderStatus::Cancelled));
        self.pauses = REOPENING.build();
    }

    /// Reads on in the stream, or opens it again.
    async fn progress(&mut self) -> Result<(), Closed> {
        match &mut self.stream {
            Some(stream) => self.told.extend(stream.read(self.upstream.name()).await?),
            None => self.stream = Some(self.connect().await?),
        }
        Ok(())
    }

    /// Waits until the stream may be opened again, or ends the whole.
    async fn reopen_later(&mut self, closed: Closed) -> Result<(), Failure> {
        let may_help = match &closed {
            Closed::Over => false,
            Closed::Ended => !self.is_settled,
            Closed::Failed(failure) => matches!(failure, Failure::Unavailable { .. }),
        };
        if may_help && let Some(pause) = self.pauses.next() {
            tokio::time::sleep(pause).await;
            return Ok(());
        }
        self.is_over = true;
        if let Closed::Failed(failure) = closed { Err(failure) } else { Ok(()) }
    }

    async fn connect(&self) -> Result<Stream, Closed> {
        let upstream = &self.upstream;
        let id = self.id.to_string();
        let request = || {
            let request = upstream.request(Method::GET, &["orders", &id, "events"]);
            let request = self.owner.lent().sign(request).header(header::ACCEPT, EVENT_STREAM);
            match self.last {
                Some(last) => request.header("last-event-id", last),
                None => request,
            }
        };
        let response = upstream.open("GET /orders/{id}/events", request).await.map_err(Closed::Failed)?;
        if response.status() == StatusCode::NO_CONTENT {
            return Err(Closed::Over);
        }
        let content_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        if content_type.is_some_and(|value| value.starts_with(EVENT_STREAM)) {
            Ok(Stream { response, parser: Parser::default() })
        } else {
            let reason = "it is not a stream of events".to_owned();
            Err(Closed::Failed(Failure::Unreadable { service: upstream.name(), reason }))
        }
    }
}

impl Stream {
    /// Waits for more, and returns the steps in it.
    async fn read(&mut self, service: &'static str) -> Result<Vec<Step>, Closed> {
        let lost = |reason: &str| {
            let reason = reason.to_owned();
            Closed::Failed(Failure::Unavailable { service, reason, retry_after: None, perhaps_done: false })
        };
        let piece = match tokio::time::timeout(LONGEST_SILENCE, self.response.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return Err(Closed::Ended),
            Ok(Err(_)) => return Err(lost("a stream of events broke off")),
            Err(_) => return Err(lost("a stream of events was silent for too long")),
        };
        let events = self
            .parser
            .read(&piece)
            .map_err(|error| Closed::Failed(Failure::Unreadable { service, reason: error.to_string() }))?;
        // What is no step is something that only a newer order_service tells.
        Ok(events.iter().filter_map(|data| serde_json::from_str(data).ok()).collect())
    }
}
