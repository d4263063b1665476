use super::Refused;

const MAX: u32 = 1_000_000;

/// How many pieces an administrator makes available, validated: only [`Stock::new`] creates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stock(u32);

impl Stock {
    /// Validates `pieces`.
    pub(crate) fn new(pieces: u32) -> Result<Self, Refused> {
        if pieces > MAX {
            return Err(Refused { field: "stock", reason: format!("The stock must be 0 to {MAX}.") });
        }
        Ok(Self(pieces))
    }

    pub(crate) fn pieces(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_million_pieces_are_refused() {
        assert_eq!(Stock::new(MAX).unwrap().pieces(), 1_000_000);
        assert_eq!(Stock::new(MAX + 1).unwrap_err().field, "stock");
    }
}
