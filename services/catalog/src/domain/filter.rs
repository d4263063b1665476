use shop_core::ProductId;

/// How many ids one request may name: more than an order has lines.
pub(crate) const MAX_IDS: usize = 100;

/// Which products to list; unset fields do not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    /// Contained in the name or the description, ignoring case.
    pub(crate) search: Option<String>,
    /// The exact category.
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
