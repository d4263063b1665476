//! Many seeds, for as long as the environment says; without it, one.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{
    plan::Plan,
    report::{Report, failure, summary},
    run,
};

/// Runs at the same time: they sleep most of it.
const LANES: usize = 3;
/// What is run when nothing is asked for.
const SEED: u64 = 7;

/// What `cargo xtask soak outbox` asks for.
struct Asked {
    seed: u64,
    /// No other seed than that one.
    same: bool,
    until: Option<Instant>,
}

#[derive(Default)]
struct Total {
    runs: usize,
    events: usize,
    faults: usize,
    duplicates: usize,
    failed: Vec<String>,
}

impl Asked {
    fn from_environment() -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is a whole number")))
        };
        let minutes = number("OUTBOX_MODEL_MINUTES");
        let until = minutes.map(|minutes| Instant::now() + Duration::from_secs(60 * minutes));
        let fresh = || if until.is_some() { u64::from(rand::random::<u32>()) } else { SEED };
        Self {
            seed: number("OUTBOX_MODEL_SEED").unwrap_or_else(fresh),
            same: number("OUTBOX_MODEL_SAME").is_some(),
            until,
        }
    }

    /// The seed of run `number`; `None` when it is enough.
    fn seed(&self, number: u64) -> Option<u64> {
        let goes_on = self.until.map_or(number == 0, |until| Instant::now() < until);
        goes_on.then(|| if self.same { self.seed } else { self.seed + number })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn soak() {
    let asked = Asked::from_environment();
    let (mut lanes, mut total, mut number) = (JoinSet::new(), Total::default(), 0);
    loop {
        while lanes.len() < LANES
            && let Some(seed) = asked.seed(number)
        {
            number += 1;
            lanes.spawn(both(seed));
        }
        match lanes.join_next().await {
            Some(Ok(reports)) => reports.iter().for_each(|report| total.add(report)),
            // Its message has been printed, and names the place.
            Some(Err(panic)) => total.failed.push(panic.to_string()),
            None => break,
        }
    }
    let Total { runs, events, faults, duplicates, failed } = total;
    println!(
        "{runs} runs from seed {}: {events} events, {faults} faults, {duplicates} duplicates, {} failed",
        asked.seed,
        failed.len()
    );
    assert!(failed.is_empty(), "failed:\n{}", failed.join("\n"));
}

async fn both(seed: u64) -> Vec<Report> {
    let plan = Plan::new(seed);
    let without_network = Plan::new(seed).embedded();
    let (real, embedded) =
        tokio::join!(run::on_real_backends(&plan), run::on_embedded_backends(&without_network));
    real.into_iter().chain([embedded]).collect()
}

impl Total {
    fn add(&mut self, report: &Report) {
        println!("{}", summary(report));
        self.runs += 1;
        self.events += report.events;
        self.faults += report.faults;
        self.duplicates += report.duplicates;
        if !report.violations.is_empty() {
            println!("{}", failure(report));
            self.failed.push(summary(report));
        }
    }
}
