//! What all workers share.

use kube::Client;
use shop_core::Clock;
use shop_outbox::OutboxMetricsFamily;

use crate::election::Settings;

pub(super) struct Context {
    pub(super) client: Client,
    pub(super) namespace: String,
    /// This replica: unique to the process.
    pub(super) identity: String,
    pub(super) elections: Settings,
    pub(super) metrics: OutboxMetricsFamily,
    pub(super) clock: Clock,
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use kube::Config;

    use super::*;

    /// A context whose API server is not there.
    pub(in crate::kubernetes) fn nowhere() -> Context {
        let access = Config::new("http://127.0.0.1:1".parse().unwrap());
        let [lease, renew, retry] = [15, 10, 2].map(Duration::from_secs);
        Context {
            client: Client::try_from(access).unwrap(),
            namespace: "orders".to_owned(),
            identity: "one".to_owned(),
            elections: Settings::new(lease, renew, retry).unwrap(),
            metrics: OutboxMetricsFamily::default(),
            clock: Clock::system(),
        }
    }
}
