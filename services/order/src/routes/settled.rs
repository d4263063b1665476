//! The response to a client that prefers to wait until its order is settled.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::stream;
use shop_core::OrderId;
use tokio::time::{Instant, timeout_at};

use super::{prefer::Wait, representation::LifeBody};
use crate::{
    app::App,
    domain::{Life, OrderToken, Viewer},
    watch::Watching,
};

/// An order whose placing is committed, and who placed it.
pub(super) struct Placed {
    pub(super) id: OrderId,
    pub(super) viewer: Viewer,
    pub(super) token: Option<OrderToken>,
}

/// The body of the response: the order once it is settled, or as it is when the time is up. If it cannot be read then, `otherwise`.
/// `None` if there is no place to wait.
///
/// The response's head does not wait, so neither does the request: it is neither in flight nor too late meanwhile.
pub(super) async fn body(app: &App, placed: Placed, wait: Wait, otherwise: String) -> Option<Body> {
    let until = Instant::now() + wait.time();
    let life = app.store.life(&placed.viewer, placed.id).await.ok()??;
    let watching = app.watch.begin(&life).ok()?;
    let app = app.clone();
    let settled = async move {
        settle(watching, &life, until).await;
        let settled = read(&app, &placed).await.unwrap_or(otherwise);
        Ok::<_, Infallible>(Bytes::from(settled))
    };
    Some(Body::from_stream(stream::once(settled)))
}

/// Waits until the order is settled, the time is up, or the service stops.
async fn settle(mut watching: Watching, life: &Life, until: Instant) {
    if life.timeline.is_settled() {
        return;
    }
    let mut known = life.timeline.last_seq();
    while let Ok(Some(timeline)) = timeout_at(until, watching.beyond(known)).await {
        if timeline.is_settled() {
            return;
        }
        known = timeline.last_seq();
    }
}

async fn read(app: &App, placed: &Placed) -> Option<String> {
    let life = app.store.life(&placed.viewer, placed.id).await.ok()??;
    serde_json::to_string(&LifeBody::from(&life).placed(placed.token.as_ref())).ok()
}
