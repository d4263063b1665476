use std::future::Future;

use crate::Failure;

/// The maximum number of items that services put on a page, requested if many are wanted.
pub(crate) const LARGEST_PAGE: usize = 100;
/// Reading a list stops after this many pages.
const LONGEST_WALK: usize = 10;

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` on the last one.
    pub next: Option<String>,
}

/// A part of a list, and whether more follows.
#[derive(Debug)]
pub struct Slice<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more items follow.
    pub more: bool,
}

/// Returns items `skip..skip + take` of a list whose pages `fetch` loads by their cursor. The list is read from its beginning, and at most
/// its first thousand items.
pub(crate) async fn slice<T, F: Future<Output = Result<Page<T>, Failure>>>(
    skip: usize,
    take: usize,
    fetch: impl Fn(Option<String>) -> F,
) -> Result<Slice<T>, Failure> {
    let mut items = Vec::new();
    let mut next = None;
    for _ in 0..LONGEST_WALK {
        let page = fetch(next).await?;
        items.extend(page.items);
        next = page.next;
        if next.is_none() || items.len() > skip + take {
            break;
        }
    }
    let more = next.is_some() || items.len() > skip + take;
    Ok(Slice { items: items.into_iter().skip(skip).take(take).collect(), more })
}
