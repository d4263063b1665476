use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_core::{Currency, Email, Money, OrderId, OrderStatus, ProductId, events::CancellationCode};
use utoipa::ToSchema;

use crate::domain::{Cancellation, Entry, Item, Life, Milestone, Order, OrderToken, Outline};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(super) struct OrderBody {
    /// Its id, a UUIDv7.
    id: OrderId,
    /// The address for news about the order.
    customer_email: Email,
    /// The sum of the items.
    total_amount: Money,
    /// ISO 4217.
    #[schema(value_type = String, pattern = "^[A-Z]{3}$", examples("RUB"))]
    currency: Currency,
    /// Its status.
    status: OrderStatus,
    /// The items: each product once.
    items: Vec<ItemBody>,
    /// When it was placed.
    created_at: DateTime<Utc>,
}

/// An order, and what has happened to it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderLife)]
pub(super) struct LifeBody {
    #[serde(flatten)]
    order: OrderBody,
    /// What has happened, oldest first.
    timeline: Vec<EntryBody>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation: Option<CancellationBody>,
    /// The carrier's number of the parcel.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<String>,
    /// The trace of the request that placed it, to find it in Jaeger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    trace_id: Option<String>,
}

/// Something that happened to an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TimelineEntry)]
pub(super) struct EntryBody {
    /// Its position, from 1; also the event's id in the stream.
    #[schema(minimum = 1)]
    seq: i16,
    /// When it happened.
    at: DateTime<Utc>,
    /// What happened.
    event: Milestone,
    /// For `cancelled` the code, for `shipped` the tracking number if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Why an order was cancelled.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Cancellation)]
struct CancellationBody {
    /// For programs. More codes may be added.
    #[schema(value_type = String, examples("out_of_stock"))]
    code: CancellationCode,
    /// For people.
    reason: String,
}

impl LifeBody {
    /// With what it tells about a guest's order only in the response that places it.
    pub(super) fn placed(self, token: Option<&OrderToken>) -> PlacedBody {
        let Self { order, timeline, cancellation, tracking_number, trace_id } = self;
        PlacedBody {
            order,
            timeline: Some(timeline),
            cancellation,
            tracking_number,
            trace_id,
            order_token: token.map(OrderToken::reveal),
        }
    }
}

impl From<&Life> for LifeBody {
    fn from(Life { order, timeline }: &Life) -> Self {
        Self {
            order: order.into(),
            timeline: timeline.entries().iter().map(EntryBody::from).collect(),
            cancellation: order.cancellation.clone().map(CancellationBody::from),
            tracking_number: order.tracking_number.clone(),
            trace_id: order.trace_id().map(ToOwned::to_owned),
        }
    }
}

impl From<&Entry> for EntryBody {
    fn from(entry: &Entry) -> Self {
        Self { seq: entry.seq, at: entry.at, event: entry.event, detail: entry.detail.clone() }
    }
}

impl From<Cancellation> for CancellationBody {
    fn from(Cancellation { code, reason }: Cancellation) -> Self {
        Self { code, reason }
    }
}

/// The data of an event in the stream of an order's life.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OrderEvent)]
pub(super) struct StreamedBody {
    #[serde(flatten)]
    entry: EntryBody,
    /// The order's status since then.
    status: OrderStatus,
}

impl StreamedBody {
    pub(super) fn new(entry: &Entry, status: OrderStatus) -> Self {
        Self { entry: entry.into(), status }
    }
}

/// An order that was just placed. What has happened to it since is only there if the client prefers to wait for it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PlacedOrder)]
pub(super) struct PlacedBody {
    #[serde(flatten)]
    order: OrderBody,
    /// What has happened, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<EntryBody>>,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    cancellation: Option<CancellationBody>,
    /// The carrier's number of the parcel.
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_number: Option<String>,
    /// The trace of this request, to find it in Jaeger.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9a-f]{32}$")]
    trace_id: Option<String>,
    /// Proves that a guest's order is the guest's own: for `X-Order-Token`. It is shown only here; orders of
    /// accounts have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$")]
    order_token: Option<String>,
}

/// As it is stored for a repeated request: without the token.
impl From<&Order> for PlacedBody {
    fn from(order: &Order) -> Self {
        Self {
            order: order.into(),
            timeline: None,
            cancellation: None,
            tracking_number: None,
            trace_id: None,
            order_token: None,
        }
    }
}

/// The summary of a guest's order that everybody may see.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GuestOrder)]
#[serde(deny_unknown_fields)]
pub(super) struct OutlineBody {
    /// Its id, a UUIDv7.
    id: OrderId,
    /// The guest's address, masked.
    #[schema(examples("b***@example.com"))]
    customer_email: String,
    /// The sum of the items.
    total_amount: Money,
    /// Its status.
    status: OrderStatus,
    /// When it was placed.
    created_at: DateTime<Utc>,
}

impl From<Outline> for OutlineBody {
    fn from(outline: Outline) -> Self {
        let Outline { id, masked_email, total, status, created_at } = outline;
        Self { id, customer_email: masked_email, total_amount: total, status, created_at }
    }
}

/// An order in a list: the caller's own in full, a guest's as a summary.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ListedOrder)]
#[serde(untagged)]
pub(super) enum ListedBody {
    Whole(OrderBody),
    Outline(OutlineBody),
}

impl ListedBody {
    pub(super) fn id(&self) -> OrderId {
        match self {
            Self::Whole(order) => order.id,
            Self::Outline(outline) => outline.id,
        }
    }
}

/// A line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
struct ItemBody {
    product_id: ProductId,
    /// Its name when it was bought.
    name: String,
    quantity: u32,
    /// The price of one piece when it was bought.
    price: Money,
}

impl From<&Order> for OrderBody {
    fn from(order: &Order) -> Self {
        Self {
            id: order.id,
            customer_email: order.customer.email.clone(),
            total_amount: order.total,
            currency: order.currency,
            status: order.status,
            items: order.items.iter().map(ItemBody::from).collect(),
            created_at: order.created_at,
        }
    }
}

impl From<&Item> for ItemBody {
    fn from(item: &Item) -> Self {
        Self {
            product_id: item.product_id,
            name: item.name.clone(),
            quantity: item.quantity,
            price: item.price,
        }
    }
}
