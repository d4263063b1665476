//! Who sends which events, and who receives them. A test of the running shop holds this against what the services send and have
//! handlers for (`who_sends_and_who_receives_is_as_documented`).

/// A service that sends events or receives them.
pub(crate) struct Participant {
    /// Its name, as in `app_id` and in compose.
    pub(crate) service: &'static str,
    /// What it is for.
    pub(crate) purpose: &'static str,
    /// The types of the events that it sends.
    pub(crate) sends: &'static [&'static str],
    /// Its queues.
    pub(crate) queues: &'static [Queue],
}

/// A queue, and the events that are routed to it.
pub(crate) struct Queue {
    pub(crate) name: &'static str,
    pub(crate) purpose: &'static str,
    /// The types of the events.
    pub(crate) receives: &'static [&'static str],
}

/// What a customer is told about.
const NEWS: &[&str] = &[
    "order_created",
    "order_confirmed",
    "order_cancelled",
    "order_shipped",
    "order_delivered",
    "payment_refunded",
];

/// All of them.
pub(crate) const PARTICIPANTS: [Participant; 4] = [
    Participant {
        service: "order_service",
        purpose: "Accepts orders, and decides about them by what stock and payment say",
        sends: &["order_created", "order_confirmed", "order_cancelled", "order_shipped", "order_delivered"],
        queues: &[Queue {
            name: "order",
            purpose: "Confirms and cancels orders, and keeps their timelines",
            receives: &[
                "stock_reserved",
                "stock_rejected",
                "payment_processed",
                "payment_failed",
                "payment_refunded",
            ],
        }],
    },
    Participant {
        service: "catalog_service",
        purpose: "Keeps the stock",
        sends: &["stock_reserved", "stock_rejected"],
        queues: &[Queue {
            name: "catalog",
            purpose: "Reserves what is ordered, sells it, and takes it back",
            receives: &["order_created", "order_confirmed", "order_cancelled"],
        }],
    },
    Participant {
        service: "payment_service",
        purpose: "Charges orders, and gives charges back",
        sends: &["payment_processed", "payment_failed", "payment_refunded"],
        queues: &[Queue {
            name: "payment",
            purpose: "Charges orders whose stock is reserved, and refunds those that are cancelled",
            receives: &["stock_reserved", "order_cancelled"],
        }],
    },
    Participant {
        service: "notification_service",
        purpose: "Writes to customers",
        sends: &[],
        queues: &[
            Queue { name: "notification", purpose: "Sends mails", receives: NEWS },
            Queue {
                name: "notification.telegram",
                purpose: "Sends messages to customers who have linked Telegram; there is none without a bot",
                receives: NEWS,
            },
        ],
    },
];
