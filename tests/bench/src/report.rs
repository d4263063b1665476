//! The results of a run, as Markdown tables.

use std::{
    fmt, fs,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use sqlx::PgConnection;

/// One side of a comparison, with one value per round.
#[derive(Debug, Default)]
pub(crate) struct Side {
    pub(crate) name: String,
    /// Responses per second.
    pub(crate) rates: Vec<f64>,
    /// In microseconds; empty if not known.
    pub(crate) median_latencies: Vec<f64>,
    pub(crate) tail_latencies: Vec<f64>,
    /// The measured processes' CPU time per response, in microseconds.
    pub(crate) processor_times: Vec<f64>,
}

impl Side {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Adds a round of `latencies`, in any order.
    pub(crate) fn push_latencies(&mut self, mut latencies: Vec<Duration>) {
        latencies.sort_unstable();
        self.median_latencies.push(micros(percentile(&latencies, 0.5)));
        self.tail_latencies.push(micros(percentile(&latencies, 0.99)));
    }

    fn row(&self) -> String {
        let cell = |values: &[f64]| {
            if values.is_empty() { "–".to_owned() } else { format!("{:.0}", median(values)) }
        };
        format!(
            "| {} | {} | {} | {} | {} |",
            self.name,
            cell(&self.rates),
            cell(&self.median_latencies),
            cell(&self.tail_latencies),
            cell(&self.processor_times)
        )
    }
}

/// The most processor time that a response may take.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MostTime {
    /// So many times the baseline's.
    Times(f64),
    /// In microseconds.
    Micros(f64),
}

impl fmt::Display for MostTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(times) => write!(f, "{times} times the baseline's"),
            Self::Micros(micros) => write!(f, "{micros} µs"),
        }
    }
}

/// Our side, and the baseline.
#[derive(Debug)]
pub(crate) struct Comparison {
    pub(crate) ours: Side,
    pub(crate) theirs: Side,
    /// The share of the baseline's rate that is the target.
    pub(crate) target: f64,
    pub(crate) most_time: MostTime,
}

impl Comparison {
    /// The ratio of the medians.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.ours.rates) / median(&self.theirs.rates)
    }

    fn is_cheap(&self) -> bool {
        let ours = median(&self.ours.processor_times);
        match self.most_time {
            MostTime::Times(times) => ours <= times * median(&self.theirs.processor_times),
            MostTime::Micros(micros) => ours <= micros,
        }
    }

    pub(crate) fn print(&self) {
        println!("| | responses per second | median, µs | 99th percentile, µs | CPU time per response, µs |");
        println!("|---|--:|--:|--:|--:|");
        println!("{}\n{}\n", self.ours.row(), self.theirs.row());
        let (low, high) = range(&self.ours.rates, &self.theirs.rates);
        println!(
            "Ratio: **{:.0} %** (rounds: {:.0} % to {:.0} %); the target of {:.0} % is {}.\n",
            self.ratio() * 100.0,
            low * 100.0,
            high * 100.0,
            self.target * 100.0,
            verdict(self.ratio() >= self.target),
        );
        println!(
            "CPU time: **{:.0} µs**; the target of at most {} is {}.\n",
            median(&self.ours.processor_times),
            self.most_time,
            verdict(self.is_cheap()),
        );
    }
}

/// Prints rates, each as a ratio to `base`, which is one of them.
pub(crate) fn print_rates(what: &str, base: &Side, sides: &[&Side]) {
    println!("| | {what} per second | ratio | rounds |\n|---|--:|--:|--:|");
    for side in sides {
        let rate = median(&side.rates);
        if std::ptr::eq(*side, base) {
            println!("| {} | {rate:.0} | 100 % | – |", side.name);
            continue;
        }
        let ratio = rate / median(&base.rates) * 100.0;
        let (low, high) = range(&side.rates, &base.rates);
        println!(
            "| {} | {rate:.0} | {ratio:.0} % | {:.0} % to {:.0} % |",
            side.name,
            low * 100.0,
            high * 100.0
        );
    }
    println!();
}

/// The side with the highest rate.
pub(crate) fn fastest<'a>(first: &'a Side, others: &[&'a Side]) -> &'a Side {
    others
        .iter()
        .fold(first, |best, side| if median(&side.rates) > median(&best.rates) { side } else { best })
}

/// Prints latencies, in milliseconds.
pub(crate) fn print_latencies(sides: &[&Side]) {
    println!("| | median, ms | 99th percentile, ms |\n|---|--:|--:|");
    for side in sides {
        let [middle, tail] =
            [&side.median_latencies, &side.tail_latencies].map(|micros| median(micros) / 1000.0);
        println!("| {} | {middle:.1} | {tail:.1} |", side.name);
    }
    println!();
}

pub(crate) fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "missed" }
}

/// The lowest and the highest ratio in a round.
fn range(ours: &[f64], theirs: &[f64]) -> (f64, f64) {
    let rounds = ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs);
    rounds.fold((f64::INFINITY, 0.0_f64), |(low, high), ratio| (low.min(ratio), high.max(ratio)))
}

/// A percentile of latencies in ascending order; `0.5` for the median.
pub(crate) fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let place = (sorted.len() as f64 * share) as usize;
    sorted.get(place).or(sorted.last()).copied().unwrap_or_default()
}

/// The middle value, or the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match (values.len(), values.len() / 2) {
        (0, _) => f64::NAN,
        (length, middle) if length % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        (_, middle) => values[middle],
    }
}

pub(crate) fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

pub(crate) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

/// The date, the version of PostgreSQL, and how quick the disk is below the folder `disk`, where `cargo xtask bench` keeps its database. Fails if PostgreSQL does not sync to disk, which would make every insert cheap, and the ratios
/// worthless.
pub(crate) async fn durable_postgres(database: &mut PgConnection, disk: &Path) -> anyhow::Result<String> {
    let settings: Vec<String> = sqlx::query_scalar(
        "SELECT setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')",
    )
    .fetch_all(&mut *database)
    .await?;
    ensure!(
        settings.iter().all(|setting| setting == "on"),
        "this PostgreSQL does not sync its commits to disk"
    );
    let (date, version): (String, String) =
        sqlx::query_as("SELECT current_date::text, current_setting('server_version')")
            .fetch_one(database)
            .await?;
    let version = version.split(' ').next().unwrap_or_default();
    let flushes = flushes(disk)?;
    Ok(format!(
        "{date}: PostgreSQL {version} (fsync on), on a disk that makes {flushes:.0} flushes per second"
    ))
}

/// How often per second the disk below `folder` makes 8 KiB durable, measured for a second as `pg_test_fsync` does: where that is high, rates are
/// bound by the processor, and where it is low, by the disk.
fn flushes(folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join(".flushed");
    let file = fs::File::create(&path)?;
    let (block, began) = ([0; 8192], Instant::now());
    file.write_all_at(&block, 0)?;
    let mut flushes = 0_u32;
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all_at(&block, 0)?;
        file.sync_data()?;
        flushes += 1;
    }
    let rate = f64::from(flushes) / began.elapsed().as_secs_f64();
    fs::remove_file(path)?;
    Ok(rate)
}

/// Cores, memory, and the load on the machine.
pub(crate) fn machine() -> anyhow::Result<String> {
    let cores = std::thread::available_parallelism()?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:")).context("no MemTotal")?;
    let kilobytes: u64 = total.trim().trim_end_matches(" kB").parse()?;
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    let gigabytes = kilobytes as f64 / 1024.0 / 1024.0;
    Ok(format!("{cores} cores, {gigabytes:.0} GiB of memory, load average before the run {load}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let sorted: Vec<Duration> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&sorted, 0.5), Duration::from_millis(51));
        assert_eq!(percentile(&sorted, 0.99), Duration::from_millis(100));
        assert_eq!(percentile(&[], 0.5), Duration::ZERO);
    }

    #[test]
    fn the_fastest_side_has_the_highest_median() {
        let side = |name: &str, rates: &[f64]| Side { rates: rates.to_vec(), ..Side::named(name) };
        let sides = [side("a", &[3.0]), side("b", &[9.0, 1.0, 1.0]), side("c", &[4.0])];
        assert_eq!(fastest(&sides[0], &[&sides[1], &sides[2]]).name, "c");
    }

    #[test]
    fn one_bad_round_does_not_make_the_ratio() {
        let mut comparison = Comparison {
            ours: Side::named("ours"),
            theirs: Side::named("theirs"),
            target: 0.5,
            most_time: MostTime::Times(1.5),
        };
        comparison.ours.rates = vec![60.0, 1.0, 60.0];
        comparison.theirs.rates = vec![100.0, 100.0, 100.0];
        assert_eq!(comparison.ratio(), 0.6);
        comparison.ours.processor_times = vec![30.0, 10.0, 31.0];
        comparison.theirs.processor_times = vec![20.0, 20.0, 99.0];
        assert!(comparison.is_cheap());
        comparison.most_time = MostTime::Micros(29.0);
        assert!(!comparison.is_cheap());
    }
}
