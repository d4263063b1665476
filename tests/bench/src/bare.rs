use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue},
    routing::get,
    serve::ListenerExt as _,
};
use tokio::net::TcpListener;

use crate::load;

/// Serves the recorded response at `/products` with nothing around the handler.
pub(crate) async fn serve(listen: SocketAddr, recorded: &Path) -> anyhow::Result<()> {
    let recorded = std::fs::read(recorded).with_context(|| recorded.display().to_string())?;
    let (headers, body) = parse(&recorded)?;
    let router = Router::new().route("/products", get(move || async move { (headers, body) }));
    let listener = TcpListener::bind(listen).await?.tap_io(|stream| {
        // An error means that the client is already gone.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}

/// The headers that a handler sets itself, and the body.
fn parse(recorded: &[u8]) -> anyhow::Result<(HeaderMap, Bytes)> {
    let end = load::end_of_head(recorded).context("an answer without an end of its head")?;
    let mut headers = HeaderMap::new();
    for line in std::str::from_utf8(&recorded[..end])?.lines().skip(1).filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').context("a header without a colon")?;
        // The server sets these itself.
        if !matches!(name, "content-length" | "date") {
            headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value.trim())?);
        }
    }
    Ok((headers, Bytes::copy_from_slice(&recorded[end..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_answer_is_taken_apart() {
        let recorded = b"HTTP/1.1 200 OK\r\netag: \"a:b\"\r\ncontent-length: 2\r\ndate: today\r\n\r\n[]";
        let (headers, body) = parse(recorded).unwrap();
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["etag"], "\"a:b\"");
        assert_eq!(body, "[]");
    }
}
