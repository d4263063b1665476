//! Durations as Go writes them, and so as Kubernetes objects have them: `1h30m`, `250ms`.

use std::time::Duration;

/// The longest text that is read, and the longest run of digits in it.
const LONGEST: (usize, usize) = (32, 12);

/// Reads one with units of hours to milliseconds and without a sign; `None` if `text` is no such thing.
pub(crate) fn read(text: &str) -> Option<Duration> {
    let (length, run) = LONGEST;
    let digits = text.split(|character: char| !character.is_ascii_digit()).map(str::len).max()?;
    let is_known = |character: char| character.is_ascii_digit() || ".hms".contains(character);
    let is_readable = text.starts_with(|first: char| first.is_ascii_digit())
        && text.ends_with(['h', 'm', 's'])
        && text.chars().all(is_known)
        && text.len() <= length
        && digits <= run;
    if !is_readable {
        return None;
    }
    text.parse::<kube::core::Duration>().ok().map(Duration::from)
}

/// Writes one in its largest unit that leaves no remainder: `5ms`, `10s`, `168h`. What is below a millisecond is lost.
pub(crate) fn write(duration: Duration) -> String {
    const UNITS: [(u128, &str); 3] = [(3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let milliseconds = duration.as_millis();
    if milliseconds == 0 {
        return "0s".to_owned();
    }
    let largest = UNITS.into_iter().find(|(unit, _)| milliseconds.is_multiple_of(*unit));
    let (unit, name) = largest.unwrap_or((1, "ms"));
    format!("{}{name}", milliseconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_writes_them() {
        for (text, milliseconds) in [
            ("5ms", 5),
            ("1.5h", 5_400_000),
            ("1h30m", 5_400_000),
            ("1m0.5s", 60_500),
            ("0s", 0),
            ("315360000000ms", 315_360_000_000),
        ] {
            assert_eq!(read(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
    }

    #[test]
    fn durations_are_written_in_their_largest_unit() {
        for (milliseconds, text) in [
            (0, "0s"),
            (5, "5ms"),
            (1_500, "1500ms"),
            (10_000, "10s"),
            (90_000, "90s"),
            (300_000, "5m"),
            (604_800_000, "168h"),
        ] {
            let duration = Duration::from_millis(milliseconds);
            assert_eq!((write(duration).as_str(), read(text)), (text, Some(duration)));
        }
    }
}
