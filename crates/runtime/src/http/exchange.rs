//! One request and its answer, between the connection and the router.

use std::{
    convert::Infallible,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{
    activity::{Activity, Phase},
    leftover,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::ConnectInfo,
};
use http::{Request, Response};
use hyper::{
    body::{Body as HttpBody, Frame, Incoming, SizeHint},
    service::Service,
};

/// Handles the requests of one connection.
pub(super) struct Exchange {
    pub(super) router: Router,
    pub(super) activity: Arc<Activity>,
    pub(super) peer: SocketAddr,
}

impl Service<Request<Incoming>> for Exchange {
    type Response = Response<Watched>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.activity.begin_exchange();
        request.extensions_mut().insert(ConnectInfo(self.peer));
        let (mut router, activity) = (self.router.clone(), Arc::clone(&self.activity));
        Box::pin(async move {
            let (request, leftover) = leftover::lend(request, &activity);
            // It is always ready.
            let Ok(mut response) = tower_service::Service::call(&mut router, request).await;
            if let Some(leftover) = leftover {
                leftover.settle(&mut response).await;
            }
            Ok(response.map(|body| Watched { body, activity }))
        })
    }
}

/// A response's body. Once all of it has been handed over, the connection is between two requests.
pub(super) struct Watched {
    body: Body,
    activity: Arc<Activity>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.activity.enter(Phase::Idle);
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
