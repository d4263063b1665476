//! Shows a run while it is going on: as a table on a terminal, and otherwise as a line now and then.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use tokio::time::interval;

use crate::shoppers::{Shoppers, Summary, table};

const ON_A_TERMINAL: Duration = Duration::from_millis(500);
const IN_A_LOG: Duration = Duration::from_secs(10);
/// Clears the rest of the line, and of the screen.
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// Runs `shoppers`, shows on standard error what they experience, and returns it.
///
/// # Errors
/// As [`Shoppers::run`].
pub async fn watched(shoppers: &Shoppers, stop: impl Future<Output = ()>) -> anyhow::Result<Summary> {
    let mut screen = Screen { is_terminal: io::stderr().is_terminal(), drawn: 0 };
    let mut ticks = interval(if screen.is_terminal { ON_A_TERMINAL } else { IN_A_LOG });
    // The first one is immediate.
    ticks.tick().await;
    let mut run = std::pin::pin!(shoppers.run(stop));
    loop {
        tokio::select! {
            outcome = &mut run => {
                outcome?;
                screen.wipe()?;
                return Ok(shoppers.summary());
            }
            _ = ticks.tick() => screen.draw(&shoppers.summary())?,
        }
    }
}

/// The whole of a summary, as text.
pub fn whole(summary: &Summary) -> String {
    table::lines(summary).join("\n")
}

struct Screen {
    is_terminal: bool,
    /// How many lines were drawn, over which the next ones go.
    drawn: usize,
}

impl Screen {
    fn draw(&mut self, summary: &Summary) -> io::Result<()> {
        let mut out = io::stderr().lock();
        if !self.is_terminal {
            return writeln!(out, "{}", table::line(summary));
        }
        let lines = table::lines(summary);
        write!(out, "{}", up(self.drawn))?;
        for line in &lines {
            writeln!(out, "{line}{CLEAR_LINE}")?;
        }
        write!(out, "{CLEAR_BELOW}")?;
        self.drawn = lines.len();
        out.flush()
    }

    /// Makes room for what is printed last.
    fn wipe(&mut self) -> io::Result<()> {
        if self.is_terminal {
            write!(io::stderr(), "{}{CLEAR_BELOW}", up(self.drawn))?;
        }
        Ok(())
    }
}

/// Moves the cursor up.
fn up(lines: usize) -> String {
    if lines == 0 { String::new() } else { format!("\x1b[{lines}A\r") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_drawn_over_the_last_one() {
        assert_eq!(up(0), "");
        assert_eq!(up(3), "\x1b[3A\r");
    }
}
