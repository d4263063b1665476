use std::{num::ParseFloatError, time::Duration};

use clap::Args;
use thiserror::Error;

use crate::{addresses::Addresses, admin::Admin};

/// How many shoppers come, what they do, and where.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// How many shoppers come in per second, whether or not the earlier ones are served: 0.01 to 1000
    #[arg(long, env = "LOAD_RATE", default_value = "5", value_parser = parse_rate)]
    pub rate: f64,
    /// How many shoppers come in all; by default there is no end
    #[arg(long, env = "LOAD_ORDERS")]
    pub orders: Option<u64>,
    /// For how many seconds shoppers come in; by default there is no end
    #[arg(long, env = "LOAD_SECONDS")]
    pub seconds: Option<u64>,
    /// How many shoppers may be in the shop at once; others are held back
    #[arg(long, env = "LOAD_CONCURRENCY", default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: u32,
    /// How many percent order without an account; each has an address of their own
    #[arg(long, env = "LOAD_GUESTS", default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub guests: u8,
    /// How many percent cancel their order: half of them at once, half when it is confirmed
    #[arg(long, env = "LOAD_CANCELS", default_value_t = 10, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub cancels: u8,
    /// How many accounts to open; 0: everybody is a guest
    #[arg(long, env = "LOAD_ACCOUNTS", default_value_t = 8, value_parser = clap::value_parser!(u16).range(0..=1000))]
    pub accounts: u16,
    /// Keep at least half of this number of every product in stock, as the administrator; 0: the stock runs out
    #[arg(long, env = "LOAD_RESTOCK", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub restock: u32,
    /// How long a shopper repeats what the shop cannot do now, in seconds
    #[arg(long, env = "LOAD_PATIENCE_SECONDS", default_value_t = 30)]
    pub patience_seconds: u32,
    /// How long a shopper looks at an order until it is settled, in seconds; 0: nobody looks
    #[arg(long, env = "LOAD_LOOK_SECONDS", default_value_t = 60)]
    pub look_seconds: u32,
    /// Determines what shoppers intend to do; random by default
    #[arg(long, env = "LOAD_SEED")]
    pub seed: Option<u64>,
    /// The shop.
    #[command(flatten)]
    pub shop: Addresses,
    /// Who restocks it.
    #[command(flatten)]
    pub admin: Admin,
}

impl Arguments {
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience_seconds.into())
    }

    pub(crate) fn look(&self) -> Option<Duration> {
        (self.look_seconds > 0).then(|| Duration::from_secs(self.look_seconds.into()))
    }

    /// When shopper `number`, counted from 0, comes in after the beginning; `None` if nobody comes any more.
    pub(crate) fn arrival(&self, number: u64) -> Option<Duration> {
        let after = Duration::from_secs_f64(number as f64 / self.rate);
        let is_one_of_all = self.orders.is_none_or(|orders| number < orders);
        let is_in_time = self.seconds.is_none_or(|seconds| after < Duration::from_secs(seconds));
        (is_one_of_all && is_in_time).then_some(after)
    }
}

#[derive(Debug, Error)]
enum NotARate {
    #[error("expected a number")]
    NotANumber(#[from] ParseFloatError),
    #[error("expected 0.01 to 1000 shoppers per second")]
    OutOfRange,
}

fn parse_rate(text: &str) -> Result<f64, NotARate> {
    let rate: f64 = text.parse()?;
    if (0.01..=1000.0).contains(&rate) { Ok(rate) } else { Err(NotARate::OutOfRange) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(given: &[&str]) -> Result<Arguments, clap::Error> {
        Cli::try_parse_from([&["load"], given].concat()).map(|cli| cli.arguments)
    }

    #[test]
    fn shoppers_come_at_the_rate_until_there_are_enough() {
        let few = arguments(&["--rate", "4", "--orders", "3"]).unwrap();
        let arrivals: Vec<_> = (0..4).map(|number| few.arrival(number)).collect();
        let at = |millis| Some(Duration::from_millis(millis));
        assert_eq!(arrivals, [at(0), at(250), at(500), None]);
        let brief = arguments(&["--rate", "4", "--seconds", "1"]).unwrap();
        assert_eq!((brief.arrival(3), brief.arrival(4)), (at(750), None));
        assert!(arguments(&[]).unwrap().arrival(1_000_000).is_some());
    }

    #[test]
    fn a_rate_is_a_number_within_bounds() {
        for rate in ["0", "-1", "1001", "NaN", "many", "inf"] {
            assert!(arguments(&["--rate", rate]).is_err(), "{rate}");
        }
        assert_eq!(arguments(&["--rate", "0.5"]).unwrap().rate, 0.5);
    }
}
