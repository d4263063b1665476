//! Rows as text, for people and for scripts.

use shop_outbox::{FullRow, Overview, RowStatus, RowSummary};
use shop_runtime::table::{columns, fields, time};

/// An error takes no more of a line than this.
const LONGEST_ERROR: usize = 60;
/// How far the outbox counts.
const COUNTED: i64 = 100_000;

/// A table of rows of one status; nothing for no rows.
pub(super) fn rows(rows: &[RowSummary]) -> String {
    let Some(first) = rows.first() else { return String::new() };
    let sent = first.status == RowStatus::Sent;
    let head = ["ID", "AGGREGATE", "VERSION", "EVENT", "CREATED", "TRIES"].map(str::to_owned);
    let head = head.into_iter().chain([if sent { "SENT" } else { "LAST ERROR" }.to_owned()]);
    let body = rows.iter().map(|row| {
        vec![
            row.id.to_string(),
            format!("{}/{}", row.aggregate_type, row.aggregate_id),
            row.aggregate_version.to_string(),
            row.event_type.clone(),
            time(row.created_at),
            row.attempts.to_string(),
            if sent { row.sent_at.map(time) } else { row.last_error.as_deref().map(shortened) }
                .unwrap_or_default(),
        ]
    });
    columns(&std::iter::once(head.collect()).chain(body).collect::<Vec<_>>())
}

/// A complete row, with a line for each field.
pub(super) fn row(row: &FullRow) -> String {
    let FullRow { summary, headers, payload } = row;
    let lines = [
        ("id", Some(summary.id.to_string())),
        ("message_id", Some(summary.message_id.to_string())),
        ("status", Some(summary.status.to_string())),
        ("aggregate", Some(format!("{}/{}", summary.aggregate_type, summary.aggregate_id))),
        ("version", Some(summary.aggregate_version.to_string())),
        ("event", Some(summary.event_type.clone())),
        ("routing key", Some(summary.routing_key.clone())),
        ("created", Some(time(summary.created_at))),
        ("tries", Some(summary.attempts.to_string())),
        ("not before", summary.available_at.filter(|_| summary.status == RowStatus::Pending).map(time)),
        ("sent", summary.sent_at.map(time)),
        ("last error", summary.last_error.clone()),
        ("headers", Some(headers.clone())),
        ("payload", Some(payload.clone())),
    ];
    fields(lines)
}

/// The outbox's numbers, and its publisher.
pub(super) fn overview(overview: &Overview) -> String {
    let Overview { stats, sent, leader } = overview;
    let count = |count: i64| if count < COUNTED { count.to_string() } else { format!("{COUNTED} or more") };
    let lease = leader.as_ref().map(|leader| {
        let end = time(leader.lease_expires_at);
        if leader.leading { format!("lasts until {end}") } else { format!("ended {end}: nobody publishes") }
    });
    fields([
        ("pending", Some(count(stats.pending))),
        ("oldest pending", (stats.pending > 0).then(|| age(stats.oldest_pending_seconds))),
        ("dead", Some(stats.dead.to_string())),
        ("sent, kept", Some(count(*sent))),
        ("epoch", leader.as_ref().map(|leader| leader.epoch.to_string())),
        (
            "holder",
            Some(leader.as_ref().map_or("nobody has ever published".to_owned(), |l| l.holder.clone())),
        ),
        ("lease", lease),
    ])
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The two largest units: `3 d 4 h`.
fn age(seconds: f64) -> String {
    let seconds = seconds as u64;
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let largest = units.iter().position(|(unit, _)| seconds >= *unit).unwrap_or(units.len() - 1);
    let mut rest = seconds;
    let parts = units[largest..].iter().take(2).map(|(unit, name)| {
        let count = rest / unit;
        rest %= unit;
        format!("{count} {name}")
    });
    parts.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_its_two_largest_units() {
        assert_eq!(age(0.4), "0 s");
        assert_eq!(age(59.9), "59 s");
        assert_eq!(age(61.0), "1 min 1 s");
        assert_eq!(age(90_000.0), "1 d 1 h");
    }

    #[test]
    fn a_long_error_is_shortened() {
        assert_eq!(shortened(&"я".repeat(100)).chars().count(), LONGEST_ERROR + 1);
    }
}
