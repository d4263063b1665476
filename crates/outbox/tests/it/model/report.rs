//! What a run came to, for people.

use std::fmt::Write as _;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    /// The backends: real or embedded.
    pub(crate) on: &'static str,
    pub(crate) events: usize,
    pub(crate) faults: usize,
    pub(crate) duplicates: usize,
    pub(crate) epochs: i64,
    /// Empty: all promises were kept.
    pub(crate) violations: Vec<String>,
    pub(crate) plan: String,
    pub(crate) history: String,
}

pub(crate) fn summary(report: &Report) -> String {
    let Report { seed, on, events, faults, duplicates, epochs, violations, .. } = report;
    let broken = violations.len();
    format!(
        "seed {seed}, {on}: {events} events, {faults} faults, {epochs} epochs, {duplicates} duplicates, \
         {broken} promises broken"
    )
}

/// All that helps to find out why.
pub(crate) fn failure(report: &Report) -> String {
    let mut text = format!("{}\n", summary(report));
    for violation in report.violations.iter().take(30) {
        let _ = writeln!(text, "- {violation}");
    }
    let Report { seed, plan, history, .. } = report;
    let _ = writeln!(text, "\nthe plan:\n{plan}\nwhat happened:\n{history}");
    let _ = writeln!(text, "again: cargo xtask soak outbox --seed {seed} --same --minutes 2");
    text
}
