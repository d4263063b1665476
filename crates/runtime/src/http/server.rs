use std::{any::Any, future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    handler::Handler as _,
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use prometheus_client::metrics::gauge::Gauge;
use tokio::time::Instant;
use tower_http::set_header::SetResponseHeaderLayer;
use tracing::{Level, field::Empty};

use super::{Problem, api::Routes, origin, pages, problem::Kind, refusal, slashes::Paths, validity};
use crate::{
    Periodically, Scope,
    metrics::{Metrics, ProblemLabels},
};

/// Limits for requests.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The largest body, in bytes.
    pub body: usize,
    /// The longest time until the response's head; then it is a 504 problem.
    pub time: Duration,
    /// How many requests are handled at once; any more get a 503 problem.
    pub in_flight: i64,
}

impl Limits {
    /// 64 KiB, 15 seconds, 1024 requests.
    pub const DEFAULT: Self = Self { body: 64 * 1024, time: Duration::from_secs(15), in_flight: 1024 };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// A service's routers, by port.
#[must_use]
pub struct Routers {
    pub(super) api: Router,
    /// `None` if the probes are served beside the API.
    pub(super) probes: Option<Router>,
}

impl Routers {
    /// Wraps the API's router.
    pub fn wrap_api(self, wrap: impl FnOnce(Router) -> Router) -> Self {
        Self { api: wrap(self.api), ..self }
    }
}

/// All routes of a service: its own, the operational ones, and the layers around them. An API also gets `/openapi.json` and
/// `/docs`.
pub fn router(routes: impl Into<Routes>, scope: &Scope, limits: Limits) -> Routers {
    let Routes { router: routes, api } = routes.into();
    let trusts_all = scope.http.trust_traceparent;
    let observed = Arc::new(Observed { metrics: scope.metrics.clone(), limits, trusts_all });
    let health_page = pages::health(scope.name);
    let probes = pages::probes(scope.health.clone(), scope.metrics.clone());
    let (health_page, probes) = match scope.http.probe_listen {
        None => (health_page.merge(probes), None),
        Some(_) => (health_page, Some(probes.fallback(no_such_path))),
    };
    let routes = routes.merge(api.map(pages::documentation).unwrap_or_default());
    let paths = Paths::of(&routes.clone().merge(health_page.clone()));
    let own = routes
        .fallback(async move |uri: Uri| paths.clone().answer_unknown(&uri).await)
        .method_not_allowed_fallback(method_not_allowed)
        // All in one: each layer costs every request a clone of what is below it, and two allocations.
        .layer(middleware::from_fn_with_state(observed.clone(), observe));
    // These are requested too often to be traced, but their refusals have a trace like any other.
    let refusal = method_not_allowed.layer(middleware::from_fn_with_state(observed.clone(), observe));
    let untraced = |router: Router| {
        router
            .method_not_allowed_fallback(refusal.clone())
            .layer(middleware::from_fn_with_state(observed.clone(), refuse_flawed))
    };
    let operational = |router: Router| {
        let (name, value) = NOSNIFF;
        untraced(router).layer(SetResponseHeaderLayer::if_not_present(name, value))
    };
    Routers { api: own.merge(operational(health_page)), probes: probes.map(operational) }
}

/// For every response that says nothing else.
const NOSNIFF: (HeaderName, HeaderValue) =
    (HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));

async fn no_such_path() -> Problem {
    Problem::not_found("No such path.")
}

async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not allowed here")
}

struct Observed {
    metrics: Metrics,
    limits: Limits,
    trusts_all: bool,
}

/// Refuses flawed requests, and traces only those.
async fn refuse_flawed(State(observed): State<Arc<Observed>>, request: Request, next: Next) -> Response {
    match validity::flaw(&request) {
        None => next.run(request).await,
        Some(problem) => traced(&observed, request, async |_| problem.into_response()).await,
    }
}

/// Gives a request its span, its metrics, its limits and its place among those in flight. A flawed request is refused.
async fn observe(State(observed): State<Arc<Observed>>, request: Request, next: Next) -> Response {
    let flaw = validity::flaw(&request);
    let answer = async |request| match flaw {
        None => answer(&observed, request, next).await,
        Some(problem) => problem.into_response(),
    };
    traced(&observed, request, answer).await
}

/// Runs `answer` in a span, and counts the response.
async fn traced(
    observed: &Observed,
    request: Request,
    answer: impl AsyncFnOnce(Request) -> Response,
) -> Response {
    let method = known(request.method());
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("(unmatched)", MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    );
    origin::set_parent(&span, request.headers(), observed.trusts_all);
    let started = Instant::now();
    let mut response = {
        let mut answering = pin!(answer(request));
        // As `Instrument` does, except that the span is not entered once more when what has ended is dropped.
        poll_fn(|context| span.in_scope(|| answering.as_mut().poll(context))).await
    };
    let (name, value) = NOSNIFF;
    response.headers_mut().entry(name).or_insert(value);
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    observed.metrics.observe(method, route, status.as_u16(), started.elapsed());
    if let Some(Kind(slug)) = response.extensions().get() {
        observed.metrics.problems.get_or_create(&ProblemLabels { r#type: slug }).inc();
    }
    if tracing::enabled!(Level::DEBUG) {
        span.in_scope(|| tracing::debug!(status = status.as_u16(), took = ?started.elapsed(), "answered"));
    }
    response
}

/// The method as a label. Clients can make up any number of methods, and a label is kept forever, so unknown methods share one,
/// as OpenTelemetry's conventions require.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "_OTHER",
    }
}

async fn answer(observed: &Observed, mut request: Request, next: Next) -> Response {
    let place = InFlight::take(&observed.metrics.in_flight);
    if place.0.get() > observed.limits.in_flight {
        return refusal::too_many_requests().into_response();
    }
    DefaultBodyLimit::max(observed.limits.body).apply(&mut request);
    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(observed.limits.time, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            observed.metrics.panics.inc();
            panicked(&*panic)
        }
        Err(_) => {
            static LATE: Periodically = Periodically::line();
            if let Some(count) = LATE.due() {
                tracing::warn!(count, "requests took too long");
            }
            refusal::too_late().into_response()
        }
    }
}

struct InFlight<'m>(&'m Gauge);

impl<'m> InFlight<'m> {
    fn take(gauge: &'m Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Response {
    let message = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)");
    Problem::internal(anyhow::anyhow!("a handler panicked: {message}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::{
        body::{Body, to_bytes},
        routing::{get, post},
    };
    use http::HeaderMap;
    use opentelemetry::trace::{TraceContextExt as _, TracerProvider as _};
    use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
    use serde_json::Value;
    use tower::ServiceExt as _;
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;
    use tracing_subscriber::layer::SubscriberExt as _;
    use utoipa_axum::router::OpenApiRouter;

    use super::*;
    use crate::{
        Lifecycle,
        http::{HttpConfig, Json},
    };

    const LIMITS: Limits = Limits { body: 100, time: Duration::from_millis(50), in_flight: 1024 };

    fn shop(scope: &Scope, limits: Limits) -> Router {
        let routes = Router::new()
            .route("/orders", post(|Json(order): Json<Value>| async move { Json(order) }))
            .route("/slow", get(std::future::pending::<()>))
            .route("/broken", get(broken));
        router(OpenApiRouter::<()>::new().merge(routes.into()), scope, limits).api
    }

    async fn broken() -> &'static str {
        panic!("a secret of the code")
    }

    async fn ask(router: Router, method: &str, path: &str, body: &str) -> (HeaderMap, Value) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = to_bytes(body, 1 << 20).await.unwrap();
        (head.headers, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_error_is_a_problem_that_names_its_trace_and_nothing_internal() {
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber =
            tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let _installed = tracing::subscriber::set_default(subscriber);
        let scope = Scope::new("test_service", &Lifecycle::new());
        let huge = "x".repeat(101);
        for (method, path, body, status) in [
            ("GET", "/nothing", "", 404),
            ("GET", "/docs/nothing", "", 404),
            ("POST", "/health", "", 405),
            ("GET", "/orders", "", 405),
            ("BREW", "/orders", "", 405),
            ("POST", "/orders", huge.as_str(), 413),
            ("POST", "/orders", "{", 400),
            ("GET", "/slow", "", 504),
            ("GET", "/broken", "", 500),
        ] {
            let (headers, problem) = ask(shop(&scope, LIMITS), method, path, body).await;
            assert_eq!(headers["content-type"], "application/problem+json", "{path}");
            assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
            assert_eq!(problem["status"], status, "{path}");
            assert_eq!(problem["trace_id"].as_str().map(str::len), Some(32), "{path}");
            assert!(!problem.to_string().contains("secret"), "{problem}");
        }
        let full = Limits { in_flight: 0, ..LIMITS };
        let (headers, problem) = ask(shop(&scope, full), "POST", "/orders", "{}").await;
        assert_eq!((&headers["retry-after"], &problem["status"]), (&HeaderValue::from(1), &503.into()));
        let (headers, _) = ask(shop(&scope, full), "GET", "/health", "").await;
        assert_eq!(
            headers["content-type"], "application/json",
            "health is answered when all places are taken"
        );
    }

    const STRANGERS: &str = "0af7651916cd43dd8448eb211c80319c";

    /// The trace that the answer to a call names, and whether it is recorded.
    async fn traced_as(http: HttpConfig, headers: &HeaderMap) -> (String, bool) {
        let scope = Scope { http, ..Scope::new("test_service", &Lifecycle::new()) };
        let recorded = async || {
            let context = tracing::Span::current().context();
            let context = context.span().span_context().clone();
            axum::Json((context.trace_id().to_string(), context.is_sampled()))
        };
        let routes = Router::new().route("/", get(recorded));
        let router = router(routes, &scope, LIMITS).api;
        let mut request = Request::new(Body::empty());
        *request.headers_mut() = headers.clone();
        let body = router.oneshot(request).await.unwrap().into_body();
        serde_json::from_slice(&to_bytes(body, 1000).await.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_stranger_neither_chooses_the_trace_nor_switches_it_off() {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let subscriber =
            tracing_subscriber::registry().with(tracing_opentelemetry::layer().with_tracer(tracer));
        let _installed = tracing::subscriber::set_default(subscriber);
        let untrusting = HttpConfig::DEFAULT;
        let trusting = HttpConfig { trust_traceparent: true, ..HttpConfig::DEFAULT };
        for (flags, recorded) in [("00", false), ("01", true)] {
            let mut call = HeaderMap::new();
            call.insert("traceparent", format!("00-{STRANGERS}-b7ad6b7169203331-{flags}").parse().unwrap());
            let (trace, is_recorded) = traced_as(untrusting.clone(), &call).await;
            assert_ne!(trace, STRANGERS);
            assert!(is_recorded, "{flags}");
            assert_eq!(traced_as(trusting.clone(), &call).await, (STRANGERS.to_owned(), recorded));
            // A service of the same process made it.
            origin::vouch(&mut call);
            assert_eq!(traced_as(untrusting.clone(), &call).await, (STRANGERS.to_owned(), recorded));
        }
        for malformed in ["", "00-0-0-00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"] {
            let mut call = HeaderMap::new();
            call.insert("traceparent", malformed.parse().unwrap());
            for http in [&untrusting, &trusting] {
                assert!(traced_as(http.clone(), &call).await.1, "{malformed}");
            }
        }
    }

    #[tokio::test]
    async fn refusals_are_counted_by_their_type() {
        let scope = Scope::new("test_service", &Lifecycle::new());
        for _ in 0..3 {
            ask(shop(&scope, LIMITS), "POST", "/orders", "{").await;
        }
        let metrics = scope.metrics.encode();
        assert!(metrics.contains(r#"http_server_problems_total{type="malformed-request"} 3"#), "{metrics}");
    }

    #[tokio::test]
    async fn made_up_methods_and_paths_make_no_new_metrics() {
        let scope = Scope::new("test_service", &Lifecycle::new());
        for made_up in ["AAA", "BBB"] {
            ask(shop(&scope, LIMITS), made_up, "/orders", "").await;
            ask(shop(&scope, LIMITS), "GET", &format!("/{made_up}"), "").await;
        }
        let metrics = scope.metrics.encode();
        assert!(metrics.contains(r#"http_request_method="_OTHER""#), "{metrics}");
        assert!(!metrics.contains("AAA"), "{metrics}");
    }
}
