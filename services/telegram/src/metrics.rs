use prometheus_client::metrics::counter::Counter;
use shop_runtime::metrics::Metrics;

/// The bot's own metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct BotMetrics {
    pub(crate) received: Counter,
    pub(crate) failed: Counter,
}

impl BotMetrics {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        let bot = Self::default();
        metrics.register(|registry| {
            registry.register("telegram_updates_received", "Updates from the Bot API", bot.received.clone());
            registry.register(
                "telegram_updates_failed",
                "Updates whose answering took too long or panicked",
                bot.failed.clone(),
            );
        });
        bot
    }
}
