//! What writers pay for the outbox: the same orders with and without an event, as fast as the database accepts them.

use anyhow::ensure;

use super::{place::Place, sizes::Sizes};
use crate::{
    pgbench::{Event, Pgbench},
    report::{self, Side, median, verdict},
};

const CLIENTS: usize = 32;
const CLIENT_THREADS: usize = 2;
/// The target: the share of the rate without an event.
const TARGET: f64 = 0.9;

pub(crate) async fn measure(place: &mut Place, sizes: &Sizes) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let pgbench = |event| Pgbench::new(folder.path(), &place.database.url, event, CLIENTS, CLIENT_THREADS);
    let (plain, with_event) = (pgbench(Event::None)?, pgbench(Event::Appended)?);
    let mut without = Side::named("an order and its two lines");
    let mut stored = Side::named("… and its event, without waking a publisher (no trigger)");
    let mut appended = Side::named("… and its event, no publisher running");
    let mut published = Side::named("… and its event, published meanwhile");

    place.empty().await?;
    with_event.run(sizes.slice).await?;
    for _ in 0..sizes.rounds {
        place.empty().await?;
        without.rates.push(plain.run(sizes.slice).await?.rate);

        place.empty().await?;
        place.set_trigger(false).await?;
        stored.rates.push(with_event.run(sizes.slice).await?.rate);
        place.set_trigger(true).await?;

        place.empty().await?;
        appended.rates.push(with_event.run(sizes.slice).await?.rate);

        place.empty().await?;
        place.start_warm_publisher().await?;
        place.empty().await?;
        let measured = with_event.run(sizes.slice).await?;
        published.rates.push(measured.rate);
        ensure!(place.all_sent().await? == measured.transactions, "an event is missing");
        place.broker.expect(u32::try_from(measured.transactions)?).await?;
        place.stop_publisher().await?;
    }

    println!("### What writers pay\n\npgbench with {CLIENTS} clients.\n");
    report::print_rates("transactions", &without, &[&without, &stored, &appended, &published]);
    let share = |side: &Side, of: &Side| median(&side.rates) / median(&of.rates);
    println!(
        "With the outbox, writers keep **{:.0} %** of their rate, or {:.0} % while a publisher shares the machine; the \
         target of 90 % is {}. In addition to the row, waking the publisher costs **{:.0} %**.\n",
        share(&appended, &without) * 100.0,
        share(&published, &without) * 100.0,
        verdict(share(&appended, &without) >= TARGET),
        (1.0 - share(&appended, &stored)) * 100.0,
    );
    Ok(())
}
