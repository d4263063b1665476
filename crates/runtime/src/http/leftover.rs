//! What is left of a request's body when the response is ready: a refusal often does not need the body.
//!
//! A client that keeps its connection sends the next request after that body. So the body is read to its end, if that is near;
//! otherwise the response says that the connection will be closed (RFC 9112, section 9.6).

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::{Body, Bytes};
use http::{HeaderValue, Request, Response, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};

use super::activity::Activity;

/// How much of a body that nobody needs is read, in bytes, and for how long: more than any service takes.
const LARGEST: u64 = 256 * 1024;
const PATIENCE: Duration = Duration::from_secs(1);

/// A body, as far as it has been read. Empty when it has ended.
#[derive(Debug)]
struct Rest {
    body: Option<Incoming>,
    was_read: bool,
    is_broken: bool,
}

type Shared = Arc<Mutex<Rest>>;

/// Hands over `request` with a body that comes back when it is dropped; `None` if there is no body.
pub(super) fn lend(
    request: Request<Incoming>,
    activity: &Arc<Activity>,
) -> (Request<Body>, Option<Leftover>) {
    if request.body().is_end_stream() {
        return (request.map(|_| Body::empty()), None);
    }
    let expects = request.headers().get(header::EXPECT).is_some();
    let (head, body) = request.into_parts();
    let rest = Arc::new(Mutex::new(Rest { body: Some(body), was_read: false, is_broken: false }));
    let lent = Lent { rest: Arc::clone(&rest), activity: Arc::clone(activity) };
    let leftover = Leftover { rest, expects, activity: Arc::clone(activity) };
    (Request::from_parts(head, Body::new(lent)), Some(leftover))
}

/// What the answer decides about.
pub(super) struct Leftover {
    rest: Shared,
    /// Whether the client waits to be told to send the body.
    expects: bool,
    activity: Arc<Activity>,
}

impl Leftover {
    /// Reads what is left, or lets `response` say that it is the last.
    pub(super) async fn settle(self, response: &mut Response<Body>) {
        // Where it is still lent, the handler answers while it reads.
        let Ok(rest) = Arc::try_unwrap(self.rest) else { return };
        let rest = rest.into_inner().unwrap_or_else(PoisonError::into_inner);
        let is_over = match rest.body {
            None => !rest.is_broken,
            // To ask for the body now would have it sent for nothing.
            Some(_) if self.expects && !rest.was_read => false,
            Some(body) if body.size_hint().lower() > LARGEST => false,
            Some(body) => {
                let drained = tokio::time::timeout(PATIENCE, drain(body)).await;
                drained.unwrap_or(false)
            }
        };
        if !is_over {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            self.activity.linger();
        }
    }
}

/// Whether the end came.
async fn drain(mut body: Incoming) -> bool {
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return false };
        read += frame.data_ref().map_or(0, Bytes::len) as u64;
        if read > LARGEST {
            return false;
        }
    }
    true
}

struct Lent {
    rest: Shared,
    activity: Arc<Activity>,
}

impl Lent {
    fn with<T>(&self, look: impl FnOnce(&mut Rest) -> T) -> T {
        look(&mut self.rest.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let outcome = self.with(|rest| {
            rest.was_read = true;
            let Some(body) = &mut rest.body else { return Poll::Ready(None) };
            let outcome = Pin::new(body).poll_frame(cx);
            if let Poll::Ready(None | Some(Err(_))) = outcome {
                rest.body = None;
                rest.is_broken = matches!(outcome, Poll::Ready(Some(Err(_))));
            }
            outcome
        });
        self.activity.set_waits_for_client(outcome.is_pending());
        outcome
    }

    fn is_end_stream(&self) -> bool {
        self.with(|rest| rest.body.as_ref().is_none_or(Incoming::is_end_stream))
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|rest| rest.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint))
    }
}
