//! The publisher against a model: writers, operators and faults by seed, and every promise checked at the end.
//!
//! A seed is a [`plan`]; a [`run`] carries it out; [`check`] holds what the queues saw and what the rows say against
//! what the writers committed. A seed repeats the plan and not the interleaving, so one that failed may pass: try
//! it some times, and keep it under `regressions` with what it found.
//!
//! `cargo xtask soak outbox` runs fresh seeds for as long as it is asked to.

mod audit;
mod check;
mod ledger;
mod plan;
mod queue;
mod report;
mod run;
mod soak;
mod writer;

use plan::Plan;
use report::{Report, failure, summary};

macro_rules! seeds {
    ($($name:ident: $seed:literal),* $(,)?) => {
        pub(crate) const SEEDS: &[u64] = &[$($seed),*];

        mod real {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::model::real($seed).await;
            })*
        }
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                crate::model::embedded($seed).await;
            })*
        }
    };
}

// Between them they have every fault, and one has none.
seeds!(seed_2: 2, seed_14: 14, seed_37: 37, seed_124: 124, seed_254: 254, seed_267: 267, seed_299: 299);

/// Seeds that once failed.
mod regressions {
    // A row whose pause ran out in the middle of a claim was passed over, and the rows behind it in its aggregate were
    // not: `clock_timestamp()` goes on within a statement. It takes that moment, so few runs of a seed find it again.
    seeds!(seed_8: 8, seed_21: 21);
}

async fn real(seed: u64) {
    let plan = Plan::new(seed);
    let Some(report) = run::on_real_backends(&plan).await else { return };
    verdict(&report);
}

async fn embedded(seed: u64) {
    let plan = Plan::new(seed).embedded();
    verdict(&run::on_embedded_backends(&plan).await);
}

fn verdict(report: &Report) {
    println!("{}", summary(report));
    assert!(report.violations.is_empty(), "{}", failure(report));
}
