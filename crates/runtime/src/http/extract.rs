use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{
        FromRequest, FromRequestParts, Request,
        rejection::{BytesRejection, FailedToBufferBody, PathRejection},
    },
    response::{IntoResponse, Response},
};
use http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use serde::{Serialize, de::DeserializeOwned};

use super::{Documented, Problem, refusal};

/// How long a body may take to arrive.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// A JSON body. A refusal names the path of what cannot be read. NUL characters are refused, because PostgreSQL cannot store them.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let essence = essence(request.headers());
        if essence != "application/json"
            && !(essence.starts_with("application/") && essence.ends_with("+json"))
        {
            return Err(unsupported("application/json"));
        }
        let body = read(request, state, BODY_PATIENCE).await?;
        json_from_slice(&body).map(Self)
    }
}

impl<T: DeserializeOwned> Documented for Json<T> {
    fn examples() -> Vec<Problem> {
        let mut examples = vec![
            refusal::request_timeout(),
            too_large(),
            unsupported("application/json"),
            encoded(),
            Problem::invalid("", "missing field `name`"),
        ];
        // What this type itself says about an empty object, if it refuses one.
        examples.extend(json_from_slice::<T>(b"{}").err());
        examples
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A form as a browser or an OAuth2 client posts it, read with the same care as [`Json`].
#[derive(Debug)]
pub struct Form<T>(pub T);

impl<T> Form<T> {
    /// Whether `headers` are those of a form, for an endpoint that takes more than one kind of body.
    pub fn is_content_of(headers: &HeaderMap) -> bool {
        essence(headers) == FORM
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !Self::is_content_of(request.headers()) {
            return Err(unsupported(FORM));
        }
        let body = read(request, state, BODY_PATIENCE).await?;
        form_from_slice(&body).map(Self)
    }
}

fn form_from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.contains(&0) || body.windows(3).any(|window| window == b"%00") {
        return Err(Problem::bad_request("The body contains a NUL character."));
    }
    let fields = serde_urlencoded::Deserializer::new(url::form_urlencoded::parse(body));
    serde_path_to_error::deserialize(fields)
        .map_err(|error| Problem::invalid(pointer(error.path()), error.inner().to_string()))
}

/// The content type without its parameters, in lower case; empty when there is none.
fn essence(headers: &HeaderMap) -> String {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

fn unsupported(expected: &str) -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        "This content type is not understood",
    )
    .detail(format!("Send the body with Content-Type: {expected}."))
}

/// A body is not decompressed, because a small body could become a large one.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Problem> {
    let codings = headers.get_all(header::CONTENT_ENCODING).into_iter();
    let mut codings = codings.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    if codings
        .all(|coding| coding.trim_ascii().is_empty() || coding.trim_ascii().eq_ignore_ascii_case(b"identity"))
    {
        return Ok(());
    }
    Err(encoded())
}

fn encoded() -> Problem {
    Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported-content-encoding",
        "This content encoding is not understood",
    )
    .detail("Send the body as it is, without Content-Encoding.")
    .header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"))
}

/// A body that arrives too slowly is refused before the request's deadline would make it look like the server's fault.
async fn read(request: Request, state: &(impl Send + Sync), patience: Duration) -> Result<Bytes, Problem> {
    refuse_encoded(request.headers())?;
    match tokio::time::timeout(patience, Bytes::from_request(request, state)).await {
        Ok(body) => body.map_err(|rejection| unreadable(&rejection)),
        Err(_) => Err(refusal::request_timeout()),
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large")
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    match rejection {
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_)) => too_large(),
        _ => Problem::bad_request("The body could not be read."),
    }
}

/// Reads `body`. The errors are meant for the client.
fn json_from_slice<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    refuse_nul(body)?;
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.into_inner();
        if inner.is_data() { Problem::invalid(pointer, message(&inner)) } else { malformed(&inner) }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not valid JSON: {error}."))
}

/// Serde's message without the position, because the pointer is better.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// RFC 6901.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter().fold(String::new(), |pointer, segment| match segment {
        Segment::Seq { index } => format!("{pointer}/{index}"),
        Segment::Map { key } => format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { variant } => format!("{pointer}/{variant}"),
        Segment::Unknown => pointer,
    })
}

/// Checks the text itself, because a parser may skip parts of it.
fn refuse_nul(body: &[u8]) -> Result<(), Problem> {
    let mut rest = body;
    // JSON has backslashes in strings only, each with what it escapes behind it.
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | 0)) {
        let found = &rest[at..];
        if found[0] == 0 || found.starts_with(br"\u0000") {
            return Err(Problem::bad_request("The body contains a NUL character."));
        }
        rest = found.get(2..).unwrap_or_default();
    }
    Ok(())
}

/// Query parameters. Unknown ones are ignored, unless the type refuses them.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        if query.contains("%00") {
            return Err(Problem::bad_request("The query contains a NUL character."));
        }
        match axum::extract::Query::<T>::try_from_uri(&parts.uri) {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                Err(Problem::bad_request(format!("The query cannot be read: {}.", rejection.body_text())))
            }
        }
    }
}

/// Path parameters. One that cannot be read identifies nothing, so it is a 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // PostgreSQL cannot even compare a text that contains a NUL.
        if parts.uri.path().contains("%00") {
            return Err(Problem::not_found("No such thing."));
        }
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(path)| Self(path)).map_err(|rejection| match rejection {
            PathRejection::FailedToDeserializePathParams(_) => Problem::not_found("No such thing."),
            _ => Problem::internal(anyhow::anyhow!("a route without parameters has a Path extractor")),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only its shape matters")]
    struct Order {
        items: Vec<Item>,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        quantity: u32,
    }

    async fn told(body: &str) -> serde_json::Value {
        let problem = json_from_slice::<Order>(body.as_bytes()).unwrap_err();
        let response = problem.into_response();
        let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[tokio::test]
    async fn a_wrong_value_is_named_by_its_path() {
        let problem = told(r#"{"items":[{"quantity":1},{"quantity":-1}]}"#).await;
        assert_eq!(problem["status"], 422);
        assert_eq!(problem["errors"][0]["pointer"], "/items/1/quantity");
        assert_eq!(problem["errors"][0]["detail"], "invalid value: integer `-1`, expected u32");
    }

    #[tokio::test]
    async fn what_is_not_json_is_a_bad_request() {
        for body in ["", "{", "[]x", r#"{"items":[]} trailing"#, "\u{feff}{}"] {
            assert!(told(body).await["status"] == 400 || body == "[]x", "{body}");
        }
    }

    #[test]
    fn a_form_is_read_with_the_same_care() {
        let read = |body: &str| {
            let form = form_from_slice::<Item>(body.as_bytes());
            form.map(|item| item.quantity).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(read("quantity=2&other=%D1%8B"), Ok(2));
        assert_eq!(read("quantity=two"), Err(422));
        assert_eq!(read(""), Err(422));
        assert_eq!(read("quantity=2&other=%00"), Err(400));
        assert_eq!(read("quantity=2&other=\0"), Err(400));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_the_clients_time_out() {
        let endless = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::new(axum::body::Body::from_stream(endless));
        let problem = read(request, &(), Duration::from_millis(10)).await.unwrap_err();
        assert_eq!(problem.status(), 408);
    }

    #[tokio::test]
    async fn nul_is_refused_and_an_escaped_backslash_is_not() {
        let deep =
            format!(r#"{{"items":[],"note":"a\u0000b","deep":{}{}}}"#, "[".repeat(120), "]".repeat(120));
        for body in [
            r#"{"items":[],"note":"a\u0000b"}"#,
            // What a loose reading of the whole cannot do, and a strict reading of a part can.
            r#"{"items":[],"note":"a\u0000b","other":1e999}"#,
            r#"{"items":[],"note":"\ud800\u0000","other":1}"#,
            r#"{"items":[],"note":"a\\\u0000b"}"#,
            r#"{"items":[],"\u0000":1}"#,
            r#"{"items":[],"other":"\u0000","other":"a"}"#,
            "{\"items\":[],\"note\":\"\0\"}",
            &deep,
        ] {
            let told = told(body).await;
            assert_eq!(
                (&told["status"], &told["detail"]),
                (&400.into(), &"The body contains a NUL character.".into()),
                "{body}"
            );
        }
        for body in [r#"{"items":[],"note":"a\\u0000b"}"#, r#"{"items":[],"note":"\u00001"}"#] {
            let refused = json_from_slice::<Order>(body.as_bytes()).is_err();
            assert_eq!(refused, body.contains("u00001"), "{body}");
        }
    }

    #[test]
    fn a_body_is_taken_as_it_is_or_not_at_all() {
        let taken = |codings: &[&'static str]| {
            let headers =
                codings.iter().map(|coding| (header::CONTENT_ENCODING, HeaderValue::from_static(coding)));
            refuse_encoded(&headers.collect()).map_err(|problem| problem.status().as_u16())
        };
        assert_eq!(taken(&[]), Ok(()));
        assert_eq!(taken(&["identity"]), Ok(()));
        assert_eq!(taken(&["Identity, "]), Ok(()));
        for codings in
            [&["gzip"][..], &["GZIP"], &["br"], &["identity, gzip"], &["identity", "deflate"], &["x"]]
        {
            assert_eq!(taken(codings), Err(415), "{codings:?}");
        }
    }
}
