//! The Bot API over HTTP: `POST /bot<token>/<method>`.

use std::{collections::HashMap, net::TcpListener, sync::Arc, time::Duration};

use axum::{
    Form, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest as _, Path, Query, Request, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse, Response},
    routing::any,
};
use serde_json::{Map, Value, json};
use tokio::{
    runtime::{Builder, Runtime},
    time::{Instant, timeout_at},
};

use super::{
    shared::Shared,
    state::{Answer, integer},
    words::{Failure, TOKEN},
};

/// Serves in a separate runtime.
pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>) -> Runtime {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    listener.set_nonblocking(true).expect("a non-blocking listener");
    let router = Router::new()
        .route("/{bot}/{method}", any(call))
        .fallback(|| async { answer(Err((404, "Not Found".to_owned()))) })
        .layer(DefaultBodyLimit::max(256 * 1024))
        .with_state(shared);
    runtime.spawn(async move {
        if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
            // It ends only with the runtime.
            let _ = axum::serve(listener, router).await;
        }
    });
    runtime
}

async fn call(
    State(shared): State<Arc<Shared>>,
    Path((bot, method)): Path<(String, String)>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    match bot.strip_prefix("bot") {
        Some(token) if token == TOKEN => {}
        // A path in the form of a token is an unknown token; anything else is an unknown path.
        Some(token) if is_token(token) => return answer(Err((401, "Unauthorized".to_owned()))),
        _ => return answer(Err((404, "Not Found".to_owned()))),
    }
    let method = method.to_lowercase();
    if let Some(failure) = shared.change(|state| state.called(&method)) {
        return failed(&failure);
    }
    let Some(mut parameters) = body(request).await else {
        return answer(Err((400, "Bad Request: can't parse the request".to_owned())));
    };
    parameters.extend(query.into_iter().map(|(name, value)| (name, Value::String(value))));
    let parameters = Value::Object(parameters);
    answer(match method.as_str() {
        "getupdates" => get_updates(&shared, &parameters).await,
        method => shared.change(|state| state.carry_out(method, &parameters)),
    })
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split_once(':').is_some_and(|(id, secret)| id.parse::<u64>().is_ok() && secret.bytes().all(allowed))
}

/// Long polling: answers at once if there are updates, otherwise when one arrives or the time is over.
async fn get_updates(shared: &Shared, parameters: &Value) -> Answer {
    let number = |name: &str| integer(&parameters[name]);
    let offset = number("offset").unwrap_or_default();
    let limit = number("limit").and_then(|limit| usize::try_from(limit).ok()).unwrap_or(100);
    let patience = number("timeout").and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(patience.min(50));
    let mut changes = shared.changes();
    let (poll, webhook) = shared.change(|state| {
        if !parameters["allowed_updates"].is_null() {
            state.allow(&parameters["allowed_updates"]);
        }
        state.polls += 1;
        (state.polls, state.webhook)
    });
    if webhook {
        return conflict(
            "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first",
        );
    }
    loop {
        changes.mark_unchanged();
        if shared.quietly(|state| state.polls) != poll {
            return conflict(
                "terminated by other getUpdates request; make sure that only one bot instance is running",
            );
        }
        let updates = shared.quietly(|state| state.updates(offset, limit));
        if !updates.is_empty() || timeout_at(deadline, changes.changed()).await.is_err() {
            return Ok(Value::Array(updates));
        }
    }
}

fn conflict(description: &str) -> Answer {
    Err((409, format!("Conflict: {description}")))
}

fn answer(answer: Answer) -> Response {
    match answer {
        Ok(result) => axum::Json(json!({ "ok": true, "result": result })).into_response(),
        Err((code, description)) => {
            let body = json!({ "ok": false, "error_code": code, "description": description });
            (StatusCode::from_u16(code).unwrap_or_default(), axum::Json(body)).into_response()
        }
    }
}

fn failed(failure: &Failure) -> Response {
    match failure {
        Failure::FloodControl(seconds) => {
            let body = json!({
                "ok": false,
                "error_code": 429,
                "description": format!("Too Many Requests: retry after {seconds}"),
                "parameters": { "retry_after": seconds },
            });
            (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response()
        }
        Failure::Error(code, description) => answer(Err((*code, (*description).to_owned()))),
        Failure::BadGateway => {
            (StatusCode::BAD_GATEWAY, Html("<html><h1>502 Bad Gateway</h1></html>")).into_response()
        }
    }
}

/// The parameters of a JSON body, a form or a multipart form without files; none of an empty body.
async fn body(request: Request) -> Option<Map<String, Value>> {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let words = |fields: HashMap<String, String>| {
        fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
    };
    if content_type.starts_with("application/x-www-form-urlencoded") {
        return Form::<HashMap<String, String>>::from_request(request, &())
            .await
            .ok()
            .map(|Form(fields)| words(fields));
    }
    let body = Bytes::from_request(request, &()).await.ok()?;
    if let Some(boundary) = content_type.strip_prefix("multipart/form-data; boundary=") {
        return multipart(std::str::from_utf8(&body).ok()?, boundary).map(words);
    }
    if body.is_empty() { Some(Map::new()) } else { serde_json::from_slice(&body).ok() }
}

/// RFC 7578, for text fields.
fn multipart(body: &str, boundary: &str) -> Option<HashMap<String, String>> {
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let parts = body.split(&boundary).skip(1).take_while(|part| !part.starts_with("--"));
    parts
        .map(|part| {
            let (head, value) = part.split_once("\r\n\r\n")?;
            let (_, name) = head.split_once("name=\"")?;
            let (name, _) = name.split_once('"')?;
            Some((name.to_owned(), value.strip_suffix("\r\n")?.to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multipart_form_is_read() {
        let body = "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
                    --x\r\nContent-Disposition: form-data; name=\"text\"\r\n\r\na\r\nb\r\n--x--\r\n";
        let fields = multipart(body, "x").unwrap();
        assert_eq!((fields["chat_id"].as_str(), fields["text"].as_str()), ("7", "a\r\nb"));
        assert_eq!(multipart("--x\r\nnonsense\r\n--x--", "x"), None);
    }

    #[test]
    fn tokens_have_a_form() {
        assert!(is_token(TOKEN) && is_token("123456789:AA-b_c"));
        assert!(!is_token("123456789:ABCDEF...") && !is_token("token"));
    }
}
