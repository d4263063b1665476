//! How fast a backlog is published, compared with lapin alone, and with an outbox full of rows that were sent long ago.

use std::time::Duration;

use super::{
    place::Place,
    sizes::{BATCH_SIZE, Sizes},
};
use crate::report::{self, Side, median, verdict};

const RAW_TARGET: f64 = 0.8;
const HISTORY_TARGET: f64 = 0.9;
const MEMORY_TARGET: u64 = 64 << 20;
/// How long after its start an idle publisher is measured.
const IDLE: Duration = Duration::from_secs(5);

/// A backlog compared with raw publishing.
pub(crate) async fn beside_raw(place: &mut Place, sizes: &Sizes) -> anyhow::Result<()> {
    let half = BATCH_SIZE / 2;
    let mut whole_windows = Side::named(&format!("lapin alone, windows of {BATCH_SIZE}"));
    let mut half_windows = Side::named(&format!("lapin alone, windows of {half}"));
    let mut sliding = Side::named(&format!("lapin alone, {BATCH_SIZE} always in flight"));
    let mut drained = Side::named("the publisher");

    place.empty().await?;
    place.start_warm_publisher().await?;
    let raw = place.broker.raw().await?;
    raw.in_windows(sizes.rows / 4, BATCH_SIZE).await?;
    place.broker.expect(sizes.rows / 4).await?;
    for _ in 0..sizes.rounds {
        whole_windows.rates.push(raw.in_windows(sizes.rows, BATCH_SIZE).await?);
        place.broker.expect(sizes.rows).await?;
        half_windows.rates.push(raw.in_windows(sizes.rows, half).await?);
        place.broker.expect(sizes.rows).await?;
        sliding.rates.push(raw.sliding(sizes.rows, BATCH_SIZE).await?);
        place.broker.expect(sizes.rows).await?;
        place.empty().await?;
        drained.rates.push(place.drain(sizes.rows).await?);
    }
    place.stop_publisher().await?;

    println!("### A backlog\n\n{} rows of as many aggregates, 1 KB each.\n", sizes.rows);
    // The fair baseline is the best that lapin can do; which mode that is depends on the machine.
    let raw = report::fastest(&whole_windows, &[&half_windows, &sliding]);
    report::print_rates("messages", raw, &[&whole_windows, &half_windows, &sliding, &drained]);
    let ratio = median(&drained.rates) / median(&raw.rates);
    println!(
        "Ratio: **{:.0} %** of the best that lapin achieves alone with as much in flight; the publisher itself sends windows of \
         {half} and marks one while the next is in flight. The target of 80 % is {}.\n",
        ratio * 100.0,
        verdict(ratio >= RAW_TARGET)
    );
    Ok(())
}

/// A backlog behind many sent rows, compared with one in an empty table.
pub(crate) async fn behind_history(empty: &mut Place, full: &mut Place, sizes: &Sizes) -> anyhow::Result<()> {
    full.add_sent(sizes.sent_rows).await?;
    empty.start_warm_publisher().await?;
    full.start_warm_publisher().await?;
    let mut alone = Side::named("an empty table");
    let mut behind = Side::named(&format!("{} sent rows", sizes.sent_rows));
    for _ in 0..sizes.rounds {
        empty.empty().await?;
        alone.rates.push(empty.drain(sizes.rows).await?);
        behind.rates.push(full.drain(sizes.rows).await?);
    }
    println!("### A backlog behind history\n\n{} rows.\n", sizes.rows);
    report::print_rates("messages", &alone, &[&alone, &behind]);
    let share = median(&behind.rates) / median(&alone.rates);
    println!(
        "Ratio: **{:.0} %**; the target of 90 % is {}.\n",
        share * 100.0,
        verdict(share >= HISTORY_TARGET)
    );

    let mut alone = Side::named("an empty table");
    let mut behind = Side::named(&format!("{} sent rows and an old snapshot", sizes.sent_rows));
    let snapshot = full.old_snapshot().await?;
    for _ in 0..sizes.rounds {
        empty.empty().await?;
        alone.rates.push(empty.drain(sizes.rows).await?);
        behind.rates.push(full.drain(sizes.rows).await?);
    }
    drop(snapshot);
    empty.stop_publisher().await?;
    full.stop_publisher().await?;
    report::print_rates("messages", &alone, &[&alone, &behind]);
    println!(
        "The snapshot stays open from the first round to the last, so no marked row is cleaned up: {} dead \
         entries at the end.\n",
        sizes.rounds * sizes.rows
    );
    Ok(())
}

/// The publisher's memory, idle and at its peak.
pub(crate) async fn memory(place: &mut Place, sizes: &Sizes) -> anyhow::Result<()> {
    place.empty().await?;
    place.start_publisher().await?;
    tokio::time::sleep(IDLE).await;
    let idle = place.publisher()?.resident()?;
    let rate = place.drain(sizes.backlog).await?;
    let peak = place.publisher()?.peak()?;
    place.stop_publisher().await?;

    let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("### Memory\n\n| the publisher | MiB |\n|---|--:|");
    println!("| idle | {:.1} |", mebibytes(idle));
    println!("| at its peak with a backlog of {} rows | {:.1} |\n", sizes.backlog, mebibytes(peak));
    println!(
        "It published {rate:.0} rows a second; the target of 64 MiB is {}.\n",
        verdict(peak < MEMORY_TARGET)
    );
    Ok(())
}
