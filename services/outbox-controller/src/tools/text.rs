//! Rows as text, for people and for scripts.

use std::io;

use chrono::{DateTime, Utc};
use serde::Serialize;
use shop_outbox::{FullRow, Overview, RowStatus, RowSummary};

/// An error takes no more of a line than this.
const LONGEST_ERROR: usize = 60;
/// As far as the outbox counts.
const COUNTED: i64 = 100_000;

/// One JSON object a line.
pub(super) fn json_lines<T: Serialize>(items: impl IntoIterator<Item = T>) -> io::Result<String> {
    let mut text = String::new();
    for item in items {
        text.push_str(&serde_json::to_string(&item)?);
        text.push('\n');
    }
    Ok(text)
}

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

/// A row whole, a line for each field that it has.
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

/// What the outbox holds, and who publishes it.
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

fn fields<const N: usize>(fields: [(&str, Option<String>); N]) -> String {
    let lines = fields.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    columns(&lines.collect::<Vec<_>>())
}

/// Each column as wide as its widest cell.
fn columns(lines: &[Vec<String>]) -> String {
    let lines: Vec<Vec<String>> =
        lines.iter().map(|line| line.iter().map(|cell| harmless(cell)).collect()).collect();
    let columns = lines.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    lines.iter().fold(String::new(), |text, line| {
        let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
        text + cells.collect::<Vec<_>>().join("  ").trim_end() + "\n"
    })
}

/// A terminal obeys control characters, and what is shown was written by others.
fn harmless(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_ERROR) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
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
    fn a_table_lines_up_and_gives_a_terminal_no_orders() {
        let lines = [["ID", "ERROR"], ["1", "\u{1b}[2Jwiped"], ["1234", ""]];
        insta::assert_snapshot!(columns(&lines.map(|line| line.map(str::to_owned).to_vec())), @"
        ID    ERROR
        1      [2Jwiped
        1234
        ");
        assert_eq!(shortened(&"я".repeat(100)).chars().count(), LONGEST_ERROR + 1);
    }
}
