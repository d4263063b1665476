use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{
        IntoResponse as _,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use shop_client::{Life, Step};
use shop_core::OrderId;
use shop_runtime::http::{Path, Problem, Query};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    app::App,
    failure,
    streams::Place,
    visitor::{Result, Visit},
};

/// How long a stream stays open. Browsers open it again by themselves, and by then the login may have ended.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// Shorter than a balancer keeps a connection on which nothing happens.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How soon a browser that finds no place may ask again, in seconds.
const WHEN_FULL: u32 = 15;

#[derive(Deserialize)]
pub(in crate::routes) struct Known {
    /// The last step on the page.
    after: Option<u64>,
}

/// `GET /orders/{id}/events`: an event `step` for each step of the order's life, and `end` when it is over; or `later` when the visitor has
/// opened so many pages that this one has to ask again after a while.
///
/// The page shows nothing of their content. It loads itself again, because its words are made here.
pub(in crate::routes) async fn events(
    State(app): State<App>,
    Extension(visitor): Visit,
    Path(id): Path<OrderId>,
    Query(known): Query<Known>,
    headers: HeaderMap,
) -> Result {
    // A redirect to the login would be no stream.
    let Some(owner) = visitor.owner() else { return Err(Problem::unauthorized("Log in first.").into()) };
    let who = visitor.session.account().map_or_else(|| id.to_string(), |account| account.email.clone());
    let place = app
        .streams
        .take(&who)
        .ok_or_else(|| Problem::unavailable("Too many pages follow orders.", WHEN_FULL))?;
    // The browser's own memory is newer than the page's.
    let after = last_event_id(&headers).or(known.after);
    let life = app.orders.follow(owner, id, after).await.map_err(|failure| failure::problem(&failure))?;
    let life = life.ok_or_else(|| Problem::not_found("No such order."))?;
    let until = Instant::now() + LONGEST;
    let stream = told(Follower { life, until, stopping: app.stopping.clone(), place });
    let headers = [
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // nginx would collect events until they fill a buffer.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    let comments = KeepAlive::new().interval(COMMENT_EVERY);
    Ok((headers, Sse::new(stream).keep_alive(comments)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

struct Follower {
    life: Life,
    until: Instant,
    stopping: CancellationToken,
    place: Place,
}

enum Next {
    Step(Step),
    /// Nothing more is going to happen.
    End,
    /// The browser should ask again after a while.
    Later,
    /// The browser should ask again.
    Break,
}

impl Follower {
    async fn next(&mut self) -> Next {
        let next = tokio::select! {
            next = self.life.next() => next,
            () = self.place.is_wanted.cancelled() => return Next::Later,
            () = tokio::time::sleep_until(self.until) => return Next::Break,
            // An open stream would hold up the stop.
            () = self.stopping.cancelled() => return Next::Break,
        };
        match next {
            Ok(Some(step)) => Next::Step(step),
            Ok(None) => Next::End,
            Err(failure) => {
                // It is logged like any other failure of a call; the response has begun, so it cannot become a problem.
                let _ = failure::problem(&failure);
                Next::Break
            }
        }
    }
}

fn told(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    stream::unfold(Some(follower), |follower| async move {
        let mut follower: Follower = follower?;
        match follower.next().await {
            Next::Step(step) => Some((Ok(event(&step)), Some(follower))),
            Next::End => Some((Ok(Event::default().event("end").data("{}")), None)),
            Next::Later => Some((Ok(Event::default().event("later").data("{}")), None)),
            Next::Break => None,
        }
    })
}

/// Without the detail, which the page shows in words.
fn event(step: &Step) -> Event {
    let Step { seq, at, event, status, .. } = step;
    let data = json!({ "seq": seq, "at": at, "event": event, "status": status });
    Event::default().id(seq.to_string()).event("step").data(data.to_string())
}
