//! Prints the files of docs/events, for `cargo xtask generate`: without an argument their names, with a name its content.
//!
//! It is an example and not a part of the library, so that no service links the documentation of its events.

mod asyncapi;
mod participants;
mod schema;

use std::process::ExitCode;

use shop_core::events::{
    OrderCancelled, OrderConfirmed, OrderCreated, OrderDelivered, OrderShipped, PaymentFailed,
    PaymentProcessed, PaymentRefunded, StockRejected, StockReserved,
};

use crate::schema::Contract;

const ASYNCAPI: &str = "asyncapi.json";

/// The payload of an event's golden file, as its example.
macro_rules! contract {
    ($event:ty, $golden:literal) => {
        Contract::of::<$event>(include_str!(concat!("../../tests/golden/", $golden, ".json")))
    };
}

fn contracts() -> serde_json::Result<Vec<Contract>> {
    [
        contract!(OrderCreated, "order_created"),
        contract!(StockReserved, "stock_reserved"),
        contract!(StockRejected, "stock_rejected"),
        contract!(PaymentProcessed, "payment_processed"),
        contract!(PaymentFailed, "payment_failed"),
        contract!(PaymentRefunded, "payment_refunded"),
        contract!(OrderConfirmed, "order_confirmed"),
        contract!(OrderCancelled, "order_cancelled"),
        contract!(OrderShipped, "order_shipped"),
        contract!(OrderDelivered, "order_delivered"),
    ]
    .into_iter()
    .collect()
}

/// What was asked for; `None` if there is no such file.
fn answer(wanted: Option<&str>) -> serde_json::Result<Option<String>> {
    let contracts = contracts()?;
    let file = |contract: &Contract| format!("{}.json", contract.event_type);
    let Some(wanted) = wanted else {
        let names: Vec<String> = contracts.iter().map(file).chain([ASYNCAPI.to_owned()]).collect();
        return Ok(Some(names.join("\n")));
    };
    if wanted == ASYNCAPI {
        return asyncapi::document(&contracts).map(Some);
    }
    contracts.iter().find(|contract| file(contract) == wanted).map(Contract::json_schema).transpose()
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1);
    match answer(wanted.as_deref()) {
        Ok(Some(answer)) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Ok(None) => {
            eprintln!("there is no such file; without an argument, all are listed");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
