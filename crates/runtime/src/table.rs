//! What a tool prints: tables and fields for people, JSON for scripts.

use std::io;

use chrono::{DateTime, Utc};
use serde::Serialize;

/// One JSON object a line.
///
/// # Errors
/// An item cannot be written as JSON.
pub fn json_lines<T: Serialize>(items: impl IntoIterator<Item = T>) -> io::Result<String> {
    let mut text = String::new();
    for item in items {
        text.push_str(&serde_json::to_string(&item)?);
        text.push('\n');
    }
    Ok(text)
}

/// A line for each field that has a value.
pub fn fields<const N: usize>(fields: [(&str, Option<String>); N]) -> String {
    let lines = fields.into_iter().filter_map(|(name, value)| Some(vec![name.to_owned(), value?]));
    columns(&lines.collect::<Vec<_>>())
}

/// Each column as wide as its widest cell.
pub fn columns(lines: &[Vec<String>]) -> String {
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

/// A time as people read it, in UTC.
pub fn time(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_lines_up_and_gives_a_terminal_no_orders() {
        let lines = [["ID", "ERROR"], ["1", "\u{1b}[2Jwiped"], ["1234", ""]];
        insta::assert_snapshot!(columns(&lines.map(|line| line.map(str::to_owned).to_vec())), @"
        ID    ERROR
        1      [2Jwiped
        1234
        ");
    }
}
