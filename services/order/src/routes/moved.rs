use shop_runtime::http::Json;

use super::representation::LifeBody;
use crate::{app::App, store::Moved};

/// The response to a request that changes an order; a new status is counted.
pub(super) fn moved<R>(app: &App, outcome: Moved<R>) -> Result<Json<LifeBody>, R> {
    match outcome {
        Moved::Now(life) => {
            app.metrics.moved(&life.order, app.clock.now());
            tracing::info!(order = %life.order.id, status = %life.order.status, "an order has a new status");
            Ok(Json(LifeBody::from(&life)))
        }
        Moved::Before(life) => Ok(Json(LifeBody::from(&life))),
        Moved::Refused(refusal) => Err(refusal),
    }
}
