//! An outbox as this program opens it: how it connects to the outbox's database, and the names by which publishers of one outbox
//! exclude each other. Used by the publisher, by the controller and by the tools alike.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use shop_outbox::{Refusal, Store};
use shop_runtime::{
    config::DatabaseUrl,
    database::{Database, Settings},
};

/// The name under which publishers of the orders' outbox exclude each other, in its database and at the broker.
const PUBLISHER: &str = "publisher";

/// How sessions to the outbox in `schema` are opened: as many, and with the settings, that the store needs.
pub(crate) fn sessions(schema: &str) -> Settings {
    Settings::from(schema).session(&shop_outbox::SESSION).connections(shop_outbox::CONNECTIONS)
}

/// The outbox in `database`.
pub(crate) fn store(database: &Database) -> Store {
    let (asked, noticing) = (database.clone(), database.clone());
    Store::new(database.connection().clone(), PUBLISHER)
        .refusing(move || {
            let why = asked.trouble()?;
            Some(if asked.has_vanished() { Refusal::NoOutbox(why) } else { Refusal::Other(why) })
        })
        .noticing(move |_| noticing.doubt())
}

/// The queue by which publishers of one outbox exclude each other at their broker. Its name contains a digest of the database's
/// address, because the address itself would be too long and should not be seen there.
pub(crate) fn fence(exchange: &str, database: &DatabaseUrl, schema: &str) -> String {
    let digest = Sha256::digest(database.place());
    let place: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{exchange}.{schema}.{PUBLISHER}.{place}")
}

/// A leader that is cut off or stopped loses the broker's fence at about the time when it loses its lease.
pub(crate) fn heartbeat(lease: Duration) -> Duration {
    Duration::from_secs((lease.as_secs() / 2).max(2))
}
