//! How a summary is shown. No I/O.

use std::{collections::BTreeMap, fmt::Display};

use super::tally::{Quantiles, Summary};

/// A few lines: for a terminal, where they are drawn again and again, and for the end.
pub(crate) fn lines(summary: &Summary) -> Vec<String> {
    let Summary { seconds, placed, per_second, confirmed, open, .. } = summary;
    let mut lines = vec![
        format!(
            "{seconds:>8.1} s  {placed} placed ({per_second:.1}/s), {confirmed} confirmed, {} cancelled, {open} open",
            summary.all_cancelled()
        ),
        row("POST /orders", &times(&summary.placing)),
        row("order → settled", &times(&summary.settling)),
    ];
    let mut optional = |name: &str, text: String| {
        if !text.is_empty() {
            lines.push(row(name, &text));
        }
    };
    optional("cancelled", counted(&summary.cancelled));
    optional("errors", counted(&summary.errors));
    let others = [
        ("still pending", summary.still_pending),
        ("not looked at", summary.not_looked_at),
        ("left without an order", summary.given_up),
        ("found nothing in stock", summary.sold_out),
        ("too late to cancel", summary.too_late),
        ("held back", summary.held_back),
    ];
    let others: BTreeMap<&str, u64> = others.into_iter().filter(|(_, count)| *count > 0).collect();
    optional("others", counted(&others));
    lines
}

/// One line: for a log.
pub(crate) fn line(summary: &Summary) -> String {
    let lines = lines(summary);
    let cells = lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    cells.collect::<Vec<_>>().join("; ")
}

fn row(name: &str, text: &str) -> String {
    format!("{:10}  {name:<16}  {text}", "")
}

fn times(quantiles: &Quantiles) -> String {
    if quantiles.count == 0 {
        return "–".to_owned();
    }
    let Quantiles { p50_ms, p99_ms, max_ms, .. } = quantiles;
    format!("p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, longest {max_ms:.1} ms")
}

fn counted<K: Display>(counts: &BTreeMap<K, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    counts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> Summary {
        Summary {
            seconds: 61.0,
            placed: 305,
            per_second: 5.0,
            confirmed: 281,
            cancelled: BTreeMap::from([("by_customer", 12), ("out_of_stock", 6)]),
            open: 6,
            still_pending: 0,
            not_looked_at: 0,
            given_up: 1,
            sold_out: 0,
            too_late: 0,
            held_back: 0,
            errors: BTreeMap::from([("unavailable".to_owned(), 3)]),
            placing: Quantiles { count: 305, p50_ms: 3.3, p99_ms: 12.9, max_ms: 20.0 },
            settling: Quantiles::default(),
        }
    }

    #[test]
    fn a_table_shows_what_there_is() {
        assert_eq!(
            lines(&summary()),
            [
                "    61.0 s  305 placed (5.0/s), 281 confirmed, 18 cancelled, 6 open",
                "            POST /orders      p50 3.3 ms, p99 12.9 ms, longest 20.0 ms",
                "            order → settled   –",
                "            cancelled         12 by_customer, 6 out_of_stock",
                "            errors            3 unavailable",
                "            others            1 left without an order",
            ]
        );
    }

    #[test]
    fn a_log_has_it_in_one_line() {
        assert_eq!(
            line(&summary()),
            "61.0 s 305 placed (5.0/s), 281 confirmed, 18 cancelled, 6 open; POST /orders p50 3.3 ms, p99 12.9 ms, longest 20.0 ms; \
             order → settled –; cancelled 12 by_customer, 6 out_of_stock; errors 3 unavailable; others 1 left without an order"
        );
    }
}
