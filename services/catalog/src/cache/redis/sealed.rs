//! The entry in Redis beside the list: a seal that only a catalog can make, with the time when it was made. Somebody who can write to
//! Redis can neither forge a price, nor put an old list back for longer than a list's TTL.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use shop_runtime::seal::Seal;

use crate::page::Page;

/// How far apart the clocks of two replicas may be.
const SKEW: Duration = Duration::from_secs(10);

/// What was found in Redis, unchecked.
pub(super) struct Found {
    /// The TTL in milliseconds; negative: the key did not exist yet, or has no TTL.
    pub(super) life: i64,
    pub(super) json: Vec<u8>,
    pub(super) next: Vec<u8>,
    pub(super) seal: Vec<u8>,
}

/// The TTL of a list without one.
const FOR_EVER: i64 = -1;
/// The TTL of a missing list; it may have been written since.
const ABSENT: i64 = -2;

impl Found {
    pub(super) fn is_nothing(&self) -> bool {
        self.life == ABSENT && self.json.is_empty()
    }

    /// The page and its remaining TTL, if a catalog wrote it; a page without a TTL must be read again.
    pub(super) fn open(
        self,
        seal: &Seal,
        now: DateTime<Utc>,
        ttl: Duration,
    ) -> Option<(Page, Option<Duration>)> {
        if self.life == FOR_EVER {
            return None;
        }
        let (made, tag) = str::from_utf8(&self.seal).ok()?.split_once('.')?;
        if !seal.is_of(tag, &[made.as_bytes(), &self.next, &self.json]) {
            return None;
        }
        let made = DateTime::from_timestamp_millis(made.parse().ok()?)?;
        let age = (now - made).abs().to_std().ok()?;
        if age > ttl + SKEW {
            return None;
        }
        let next = String::from_utf8(self.next).ok()?;
        let page = Page::new(Bytes::from(self.json), (!next.is_empty()).then_some(next));
        let life = u64::try_from(self.life).ok().map(|life| Duration::from_millis(life).min(ttl));
        Some((page, life))
    }
}

/// The seal of `page`, made at `now`.
pub(super) fn seal(seal: &Seal, page: &Page, now: DateTime<Utc>) -> String {
    let made = now.timestamp_millis().to_string();
    let tag = seal.of(&[made.as_bytes(), page.next().unwrap_or_default().as_bytes(), page.json()]);
    format!("{made}.{tag}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TTL: Duration = Duration::from_secs(60);

    fn key() -> Seal {
        Seal::new("test", b"key")
    }

    fn found(now: DateTime<Utc>, change: impl FnOnce(&mut Found)) -> Found {
        let page = Page::new(Bytes::from_static(b"[1]"), Some("/products?cursor=x".to_owned()));
        let mut found = Found {
            life: 30_000,
            json: page.json().to_vec(),
            next: page.next().unwrap().into(),
            seal: seal(&key(), &page, now).into_bytes(),
        };
        change(&mut found);
        found
    }

    #[test]
    fn only_what_a_catalog_has_sealed_is_believed_and_not_for_longer_than_it_lives() {
        let now = DateTime::from_timestamp_millis(1_800_000_000_000).unwrap();
        let open = |change: fn(&mut Found), after: u64| {
            found(now, change).open(&key(), now + Duration::from_secs(after), TTL)
        };
        let (page, life) = open(|_| {}, 30).unwrap();
        assert_eq!((&page.json()[..], life), (b"[1]".as_slice(), Some(Duration::from_secs(30))));
        assert_eq!(open(|found| found.life = i64::MAX, 30).unwrap().1, Some(TTL));
        assert_eq!(open(|found| found.life = ABSENT, 30).unwrap().1, None);
        assert!(open(|found| found.life = FOR_EVER, 0).is_none());
        assert!(open(|found| found.json = b"[2]".to_vec(), 0).is_none());
        assert!(open(|found| found.next = b"/evil".to_vec(), 0).is_none());
        assert!(open(|found| found.next.clear(), 0).is_none());
        assert!(open(|found| found.seal.clear(), 0).is_none());
        assert!(open(|found| found.seal = b"\xff.\xff".to_vec(), 0).is_none());
        assert!(open(|found| found.seal[0] = b'2', 0).is_none(), "its age is sealed too");
        assert!(open(|_| {}, 71).is_none(), "an old list that was put back");
    }
}
