//! A small HTTP server that gives prepared responses, and records the requests.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinSet};
use url::Url;

/// A recorded request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    /// The path and the query.
    pub(crate) target: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// How the server answers.
#[derive(Clone)]
pub(crate) enum Reply {
    /// A status, a header and a body.
    With(u16, Option<(&'static str, &'static str)>, Vec<u8>),
    /// The beginning of a body, and then nothing.
    Stalling,
    /// The beginning of a body, and then a closed connection.
    BreakingOff,
    /// A stream of events, and what comes after them.
    Events(String, Then),
}

/// What follows the events of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    End,
    BreakOff,
    Silence,
}

impl Reply {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::With(status, None, body.to_string().into_bytes())
    }

    pub(crate) fn linked(link: &'static str, body: &Value) -> Self {
        Self::With(200, Some(("link", link)), body.to_string().into_bytes())
    }

    fn response(self) -> Response {
        let beginning = stream::once(async { Ok::<_, io::Error>(Bytes::from_static(b"[{\"id\":")) });
        match self {
            Self::With(status, header, body) => {
                let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
                if let Some((name, value)) = header {
                    response.headers_mut().insert(name, value.parse().unwrap());
                }
                response
            }
            Self::Stalling => Body::from_stream(beginning.chain(stream::pending())).into_response(),
            Self::BreakingOff => {
                let end = stream::once(async { Err(io::Error::other("the connection is lost")) });
                Body::from_stream(beginning.chain(end)).into_response()
            }
            Self::Events(text, then) => events(text, then),
        }
    }
}

fn events(text: String, then: Then) -> Response {
    let text = stream::once(async { Ok::<_, io::Error>(Bytes::from(text)) });
    let body = match then {
        Then::End => Body::from_stream(text),
        Then::BreakOff => {
            // Later, so that the events are read before the connection is seen to be closed.
            let end = stream::once(async {
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err(io::Error::other("the connection is lost"))
            });
            Body::from_stream(text.chain(end))
        }
        Then::Silence => Body::from_stream(text.chain(stream::pending())),
    };
    ([("content-type", "text/event-stream")], body).into_response()
}

pub(crate) struct Server {
    pub(crate) url: Url,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

struct Shared {
    replies: Mutex<VecDeque<Reply>>,
    asked: Mutex<Vec<Asked>>,
}

impl Server {
    /// A server that gives `replies` in this order, and then repeats the last one.
    pub(crate) async fn answering(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::at(TcpListener::bind("127.0.0.1:0").await.unwrap(), replies)
    }

    pub(crate) fn at(listener: TcpListener, replies: impl IntoIterator<Item = Reply>) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let shared = Shared { replies: Mutex::new(replies.into_iter().collect()), asked: Mutex::default() };
        let shared = Arc::new(shared);
        let router = Router::new().fallback(respond).with_state(Arc::clone(&shared));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, shared, _server: server }
    }

    /// The requests so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn respond(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 100_000).await.unwrap();
    shared.asked.lock().unwrap().push(Asked {
        method: parts.method,
        target: parts.uri.to_string(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    });
    let mut replies = shared.replies.lock().unwrap();
    let reply = if replies.len() > 1 { replies.pop_front() } else { replies.front().cloned() };
    reply.expect("a reply").response()
}
