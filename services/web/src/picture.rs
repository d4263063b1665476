use axum::body::Bytes;
use sha2::{Digest as _, Sha256};

/// A picture that is kept in memory.
#[derive(Clone, Debug)]
pub(crate) struct Picture {
    pub(crate) svg: Bytes,
    pub(crate) etag: String,
}

impl Picture {
    pub(crate) fn new(svg: Vec<u8>) -> Self {
        let hash: String = Sha256::digest(&svg)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        Self { svg: svg.into(), etag: format!("\"{hash}\"") }
    }

    /// What it takes of the cache, in bytes.
    pub(crate) fn weight(&self) -> u32 {
        u32::try_from(self.svg.len()).unwrap_or(u32::MAX)
    }
}
