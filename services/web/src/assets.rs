//! Style, script and icon: compiled in, and named by their content, so that browsers may keep them forever.

use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

/// A file that pages refer to.
pub(crate) struct Asset {
    /// Where it is: `/static/shop.0123456789abcdef.css`.
    pub(crate) url: String,
    pub(crate) content_type: &'static str,
    pub(crate) content: &'static [u8],
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static [u8]) -> Self {
        let hash: String = Sha256::digest(content)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { url: format!("/static/{stem}.{hash}.{extension}"), content_type, content }
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("shop", "css", "text/css; charset=utf-8", include_bytes!("../assets/shop.css"))
});

pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("shop", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/shop.js"))
});

pub(crate) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", "image/svg+xml", include_bytes!("../assets/icon.svg")));

/// The file at `/static/` of this name.
pub(crate) fn find(file: &str) -> Option<&'static Asset> {
    let all: [&'static Asset; 3] = [&STYLE, &SCRIPT, &ICON];
    all.into_iter().find(|asset| asset.url.strip_prefix("/static/") == Some(file))
}
