use shop_core::ProductId;

/// How many ids one question may name: more than an order has lines.
pub(crate) const MAX_IDS: usize = 100;

/// Which products are wanted; what is not set does not narrow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Found in the name or the description, whatever the case.
    pub(crate) search: Option<String>,
    /// The category, exactly.
    pub(crate) category: Option<String>,
    /// One of these, at most [`MAX_IDS`].
    pub(crate) ids: Option<Vec<ProductId>>,
}

impl Filter {
    /// Whether every product is wanted.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
