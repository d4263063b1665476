use std::path::PathBuf;

use crate::skip::{server_url, skip};

/// The environment that shifts a process's wall clock by `offset`, such as `+1h`. Clocks that measure durations
/// are not affected.
pub fn faketime(offset: &'static str) -> Option<[(&'static str, String); 3]> {
    let library = PathBuf::from(server_url("SHOP_TEST_FAKETIME")?);
    if !library.exists() {
        skip("the library that SHOP_TEST_FAKETIME names is not there");
        return None;
    }
    Some([
        ("LD_PRELOAD", library.to_string_lossy().into_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ])
}
