use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, State},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use http::{HeaderName, HeaderValue, StatusCode, header, request::Parts};
use sea_orm::DbErr;
use shop_core::{OrderId, OrderStatus};
use shop_runtime::http::{Documented, Path, Problem, Problems};
use tokio::time::{Instant, timeout_at};

use super::{
    one::{NoSuchOrder, One},
    representation::StreamedBody,
    viewer::ViewerOfOne,
};
use crate::{
    app::App,
    domain::{Entry, Life, Timeline},
    watch::{NoPlace, Watching},
};

/// How long a stream may last. A client that wants more connects again.
const LONGEST: Duration = Duration::from_secs(15 * 60);
/// A comment keeps proxies from closing a quiet stream, and finds out that a client has left.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How soon a client connects again after its stream has ended.
const RETRY: Duration = Duration::from_secs(2);
/// After how many seconds there may be a place.
const RETRY_AFTER: u32 = 5;
/// For nginx, which would otherwise collect a response before it passes it on.
const BUFFERING: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

/// The `Last-Event-ID` of a client that connects again: the position of the last entry that it has; 0 without the header.
#[derive(Clone, Copy, Debug)]
pub(super) struct LastEventId(i16);

/// Streams what happens to an order, as server-sent events
///
/// Each event's `id` is the entry's position in the timeline, its `event` what happened, and its `data` an `OrderEvent`. The stream
/// begins with what has happened already, or after `Last-Event-ID`. It ends when nothing more is expected (the order was delivered,
/// or cancelled and a payment given back), after 15 minutes, and when the server stops. A client that connects again then gets 204 if
/// it has everything and nothing more is expected.
#[utoipa::path(
    get,
    path = "/orders/{id}/events",
    tag = "orders",
    params(
        One,
        (
            "Last-Event-ID" = Option<String>, Header, pattern = "^[0-9]{1,5}$",
            description = "The `id` of the last event that the client has seen"
        ),
    ),
    security(("bearer" = []), ()),
    responses(
        (status = 200, body = StreamedBody, content_type = "text/event-stream", description = "The events, as they happen"),
        (status = 204, description = "The client has all events, and nothing more is expected"),
        Problems<(DbErr, ViewerOfOne, NoSuchOrder, LastEventId, NoPlace)>,
    )
)]
pub(super) async fn events(
    State(app): State<App>,
    ViewerOfOne(viewer): ViewerOfOne,
    Path(id): Path<OrderId>,
    LastEventId(seen): LastEventId,
) -> Result<Response, Problem> {
    let life = app.store.life(&viewer, id).await?.ok_or(NoSuchOrder)?;
    if life.timeline.is_over() && life.timeline.last_seq() <= seen {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = Sse::new(streamed(app.watch.begin(&life)?, life, seen));
    let events = events.keep_alive(KeepAlive::new().interval(HEARTBEAT).text("heartbeat"));
    Ok(([BUFFERING], events).into_response())
}

/// A stream of the entries after `seen`.
fn streamed(watching: Watching, life: Life, seen: i16) -> impl Stream<Item = Result<Event, Infallible>> {
    let following =
        Following { watching, timeline: Arc::new(life.timeline), seen, until: Instant::now() + LONGEST };
    stream::unfold(following, async |mut following| {
        let event = following.next().await?;
        Some((Ok(event), following))
    })
}

struct Following {
    watching: Watching,
    timeline: Arc<Timeline>,
    /// The position of the last entry that the client has.
    seen: i16,
    until: Instant,
}

impl Following {
    /// The next event; `None` when the stream ends.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((entry, status)) = self.timeline.after(self.seen).next() {
                self.seen = entry.seq;
                return event(entry, status);
            }
            if self.timeline.is_over() {
                return None;
            }
            let known = self.timeline.last_seq();
            self.timeline = timeout_at(self.until, self.watching.beyond(known)).await.ok()??;
        }
    }
}

fn event(entry: &Entry, status: OrderStatus) -> Option<Event> {
    let event = Event::default().id(entry.seq.to_string()).event(entry.event.as_str()).retry(RETRY);
    // An entry can always be written as JSON.
    event.json_data(StreamedBody::new(entry, status)).ok()
}

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        // Browsers send an empty one if they have seen none.
        let value = parts.headers.get("last-event-id").filter(|value| !value.is_empty());
        let Some(value) = value else { return Ok(Self(0)) };
        let seen = value.to_str().ok().and_then(|text| text.parse().ok()).filter(|seen| *seen >= 0);
        seen.map(Self).ok_or_else(not_an_id)
    }
}

impl Documented for LastEventId {
    fn examples() -> Vec<Problem> {
        vec![not_an_id()]
    }
}

fn not_an_id() -> Problem {
    Problem::bad_request("Last-Event-ID must be the id of an event of this stream.")
}

impl From<NoPlace> for Problem {
    fn from(error: NoPlace) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "too-many-streams", "Too many streams are open")
            .detail(error.to_string())
            .header(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER))
    }
}

impl Documented for NoPlace {
    fn examples() -> Vec<Problem> {
        vec![Self::OfOrder.into()]
    }
}
