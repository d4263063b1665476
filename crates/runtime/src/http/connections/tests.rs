use std::{process::ExitCode, sync::LazyLock};

use axum::{
    body::{Body, Bytes},
    routing::{get, post},
};
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Semaphore,
    time::{Instant, timeout},
};

use super::*;
use crate::http::{Json, Limits, Problem, router};

const SOON: Duration = Duration::from_secs(10);

async fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// What the server sends until it closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut answer = String::new();
    timeout(SOON, stream.read_to_string(&mut answer)).await.expect("the server closes").unwrap();
    answer
}

#[tokio::test]
async fn a_stop_answers_what_is_in_flight_and_waits_for_no_idle_connection() {
    let (listener, address) = listener().await;
    let started = Arc::new(Semaphore::new(0));
    let slow = {
        let started = started.clone();
        move || async move {
            started.add_permits(1);
            tokio::time::sleep(Duration::from_millis(200)).await;
            "done"
        }
    };
    let lifecycle = Lifecycle::new();
    let scope = Scope::new("test_service", &lifecycle);
    serve(listener, Router::new().route("/", get(|| async {})).route("/slow", get(slow)), &scope);

    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
    started.acquire().await.unwrap().forget();

    lifecycle.stop();
    assert_eq!(timeout(SOON, lifecycle.run()).await, Ok(ExitCode::SUCCESS));
    assert!(rest(&mut busy).await.ends_with("done"));
    assert!(rest(&mut idle).await.starts_with("TTP/1.1 200"));
    assert_eq!(rest(&mut silent).await, "");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}

async fn status(url: String) -> u16 {
    crate::install_crypto();
    reqwest::get(url).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn probes_have_a_port_of_their_own_and_answer_until_the_last_request_is_answered() {
    let lifecycle = Lifecycle::new();
    let (probed, _) = listener().await;
    let probe_listen = probed.local_addr().unwrap();
    drop(probed);
    let scope = Scope {
        http: HttpConfig { probe_listen: Some(probe_listen), ..HttpConfig::DEFAULT },
        ..Scope::new("test_service", &lifecycle)
    };
    let asked = Arc::new(Semaphore::new(0));
    let (slow, answer) = {
        let (asked, answer) = (asked.clone(), Arc::new(Semaphore::new(0)));
        let answered = answer.clone();
        let slow = move || async move {
            asked.add_permits(1);
            answered.acquire().await.unwrap().forget();
        };
        (slow, answer)
    };
    let routes = Router::new().route("/slow", get(slow));
    let routers = router(routes, &scope, Limits::DEFAULT);
    let api = bind_and_serve("[::1]:0".parse().unwrap(), routers, &scope).await.unwrap();

    for (path, on_api, on_probes) in
        [("health", 200, 404), ("livez", 404, 200), ("readyz", 404, 200), ("metrics", 404, 200)]
    {
        assert_eq!(status(format!("http://{api}/{path}")).await, on_api, "{path}");
        assert_eq!(status(format!("http://{probe_listen}/{path}")).await, on_probes, "{path}");
    }

    let in_flight = status(format!("http://{api}/slow"));
    let meanwhile = async {
        asked.acquire().await.unwrap().forget();
        lifecycle.stop();
        assert_eq!(status(format!("http://{probe_listen}/livez")).await, 200);
        assert_eq!(status(format!("http://{probe_listen}/readyz")).await, 503);
        answer.add_permits(1);
    };
    let (code, answered, ()) = tokio::join!(lifecycle.clone().run(), in_flight, meanwhile);
    assert_eq!((code, answered), (ExitCode::SUCCESS, 200));
    assert!(TcpStream::connect(probe_listen).await.is_err(), "nobody listens any more");
}

const PATIENCE: Patience = Patience {
    head: Duration::from_millis(300),
    keep_alive: Duration::from_millis(900),
    stall: Duration::from_millis(500),
};
const BOUNDS: Bounds = Bounds { connections: 64, per_peer: 64, patience: PATIENCE };

/// A server with the bounds of a test.
struct Server {
    address: SocketAddr,
    metrics: Metrics,
    _serving: JoinSet<()>,
}

impl Server {
    async fn start(router: Router, bounds: Bounds) -> Self {
        let (listener, address) = listener().await;
        let metrics = Metrics::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve_until(CancellationToken::new(), listener, router, bounds, metrics.clone()));
        Self { address, metrics, _serving: serving }
    }

    /// With the layers that every service has.
    async fn service(routes: Router, bounds: Bounds) -> Self {
        let scope = Scope::new("test_service", &Lifecycle::new());
        Self::start(router(routes, &scope, Limits::DEFAULT).api, bounds).await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `text`, which may be several requests or none, and answers with all that comes back.
    async fn say(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        rest(&mut stream).await
    }

    fn closed(&self, reason: &'static str) -> u64 {
        self.metrics.closed.get_or_create(&ClosedLabels { reason }).get()
    }
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
    let mut answer = vec![0; 1000];
    let read = timeout(SOON, stream.read(&mut answer)).await.expect("an answer").unwrap();
    String::from_utf8(answer[..read].to_vec()).unwrap()
}

fn home() -> Router {
    Router::new().route("/", get(|| async { "welcome" }))
}

#[tokio::test]
async fn a_head_that_does_not_end_is_answered_and_a_silent_connection_is_not() {
    let server = Server::start(home(), BOUNDS).await;
    let began = Instant::now();
    assert_eq!(server.say("").await, "");
    let answer = server.say("GET / HTTP/1.1\r\nHost: sh").await;
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    assert!(answer.contains("problems/request-timeout"), "{answer}");

    // A byte now and then does not help.
    let mut slow = server.connect().await;
    let mut sent = 0;
    while timeout(Duration::from_millis(50), slow.read_u8()).await.is_err() && sent < 100 {
        slow.write_all(b"G").await.unwrap();
        sent += 1;
    }
    assert!(sent < 20, "{sent}");
    assert!(began.elapsed() < SOON);
    assert_eq!((server.closed("silent"), server.closed("slow_head")), (1, 2));
}

#[tokio::test]
async fn an_idle_connection_is_kept_longer_than_a_head_may_take() {
    let server = Server::start(home(), BOUNDS).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
        // Longer than a head may take, each time.
        tokio::time::sleep(PATIENCE.head * 2).await;
    }
    let began = Instant::now();
    assert_eq!(rest(&mut client).await, "", "it is closed between two requests, without a word");
    assert!(began.elapsed() < PATIENCE.keep_alive);
    assert_eq!(server.closed("idle"), 1);
}

#[test]
fn an_idle_connection_outlasts_the_usual_balancers() {
    let patience = patience(&HttpConfig::DEFAULT);
    assert!(patience.keep_alive > Duration::from_secs(60), "as AWS's and nginx's");
    assert!(patience.head < Duration::from_secs(25), "a stop ends before Kubernetes' 30 seconds");
}

/// As many as were seen to take a service down; fewer where the system does not let a process open so many files.
fn a_flood() -> usize {
    let files = usize::try_from(listen::open_files()).unwrap_or(usize::MAX);
    4_300.min(files / 3)
}

#[tokio::test]
async fn silent_connections_of_one_client_keep_nobody_out() {
    let flood = a_flood();
    let connections = flood / 43 * 40;
    let bounds = Bounds { connections, per_peer: connections, patience: patience(&HttpConfig::DEFAULT) };
    let server = Server::start(home(), bounds).await;
    let mut busy = server.connect().await;
    ask(&mut busy).await;
    let mut silent = Vec::new();
    for _ in 0..flood {
        silent.push(server.connect().await);
    }
    let began = Instant::now();
    for _ in 0..20 {
        let mut client = server.connect().await;
        assert!(ask(&mut client).await.starts_with("HTTP/1.1 200"));
    }
    assert!(ask(&mut busy).await.starts_with("HTTP/1.1 200"), "one that has asked is not the first to go");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(server.closed("evicted") > 0);
    drop(silent);
}

/// An answer that no buffer of the kernel takes as a whole.
fn large() -> Router {
    static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; 32 << 20].into());
    home().route("/large", get(|| async { LARGE.clone() }))
}

#[tokio::test]
async fn who_asks_and_does_not_read_is_cut_off() {
    let server = Server::start(large(), Bounds { connections: 500, per_peer: 500, patience: PATIENCE }).await;
    let mut readers = Vec::new();
    for _ in 0..400 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET /large HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
        readers.push(stream);
    }
    let deadline = Instant::now() + SOON * 2;
    while server.closed("slow_reader") < 400 {
        assert!(Instant::now() < deadline, "{} of 400", server.closed("slow_reader"));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(server.metrics.connections.get() <= 1);
}

#[tokio::test]
async fn who_reads_a_little_now_and_then_is_cut_off_too() {
    let server = Server::start(large(), BOUNDS).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: shop\r\n\r\n").await.unwrap();
    let deadline = Instant::now() + SOON * 2;
    let mut buffer = [0; 64];
    while server.closed("slow_reader") == 0 {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Ends with an error when the connection does.
        let _ = timeout(Duration::from_millis(1), stream.read(&mut buffer)).await;
    }
}

#[tokio::test]
async fn events_may_be_far_apart() {
    let events = || async {
        let events = futures_util::stream::unfold(0, |count| async move {
            if count == 3 {
                return None;
            }
            tokio::time::sleep(PATIENCE.keep_alive + PATIENCE.stall).await;
            Some((Ok::<_, std::io::Error>(Bytes::from("data: x\n\n")), count + 1))
        });
        Body::from_stream(events)
    };
    let server = Server::start(Router::new().route("/events", get(events)), BOUNDS).await;
    let answer = server.say("GET /events HTTP/1.0\r\n\r\n").await;
    assert_eq!(answer.matches("data: x").count(), 3, "{answer}");
}

/// What refuses without a look at the body, or with one at a part of it.
fn refusing() -> Router {
    let refuse = |status: u16| {
        post(move || async move { Problem::new(status.try_into().unwrap(), "refused", "Refused") })
    };
    home()
        .route("/401", refuse(401))
        .route("/403", refuse(403))
        .route("/409", refuse(409))
        .route("/200", post(|| async { "ok" }))
        .route("/json", post(|Json(value): Json<serde_json::Value>| async move { Json(value) }))
}

/// The path, the content type, and the status of the answer to a body that is no JSON.
const REFUSALS: [(&str, &str, u16); 8] = [
    ("/401", "application/json", 401),
    ("/403", "application/json", 403),
    ("/409", "application/json", 409),
    ("/200", "application/json", 200),
    ("/nothing", "application/json", 404),
    ("/", "application/json", 405),
    ("/json", "text/plain", 415),
    ("/json", "application/json", 400),
];

#[tokio::test]
async fn after_a_refusal_a_pooled_client_goes_on() {
    crate::install_crypto();
    let server = Server::service(refusing(), BOUNDS).await;
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(1).build().unwrap();
    let limit = Limits::DEFAULT.body;
    for (path, content_type, status) in REFUSALS {
        for length in [0, 1024, limit - 1, limit, limit + 1, 4 * limit, 40 * limit] {
            for chunked in [false, true] {
                let body = vec![b'{'; length];
                let body = if chunked {
                    let chunks = body.chunks(7000).map(|chunk| Frame::data(Bytes::copy_from_slice(chunk)));
                    let chunks: Vec<_> = chunks.map(Ok::<_, std::io::Error>).collect();
                    reqwest::Body::wrap(StreamBody::new(futures_util::stream::iter(chunks)))
                } else {
                    body.into()
                };
                let doing = format!("{path}, {length} bytes, chunked: {chunked}");
                let url = format!("http://{}{path}", server.address);
                let refused = client.post(url).header("content-type", content_type).body(body).send().await;
                let refused = refused.unwrap_or_else(|error| panic!("{doing}: {error:?}"));
                let is_too_large = status == 400 && length > limit;
                assert_eq!(refused.status(), if is_too_large { 413 } else { status }, "{doing}");
                refused.bytes().await.unwrap();
                let next = client.get(format!("http://{}/", server.address)).send().await;
                assert_eq!(
                    next.unwrap_or_else(|error| panic!("{doing}: {error:?}")).status(),
                    200,
                    "{doing}"
                );
            }
        }
    }
}

/// One request after the other on one connection: the second is answered, or the first answer says that it will not be.
#[tokio::test]
async fn a_refusal_keeps_the_connection_or_says_that_it_does_not() {
    let server = Server::service(refusing(), BOUNDS).await;
    let next = "GET / HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n";
    for (path, content_type, status) in REFUSALS {
        for length in [0, 1, 1024, 64 * 1024 - 1, 256 * 1024, 600 * 1024] {
            let mut stream = server.connect().await;
            let head = format!(
                "POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
            );
            let all = [head.as_bytes(), &vec![b'{'; length], next.as_bytes()].concat();
            let (mut reading, mut writing) = stream.split();
            let mut answers = String::new();
            let (_, read) =
                tokio::join!(writing.write_all(&all), timeout(SOON, reading.read_to_string(&mut answers)),);
            read.unwrap().unwrap_or_else(|error| panic!("{path}, {length}: {error}"));
            let status = if status == 400 && length > Limits::DEFAULT.body { 413 } else { status };
            assert!(answers.starts_with(&format!("HTTP/1.1 {status} ")), "{path}, {length}: {answers}");
            let first = answers.split("\r\n\r\n").next().unwrap();
            let says_so = first.contains("connection: close");
            assert_eq!(answers.ends_with("welcome"), !says_so, "{path}, {length}: {answers}");
            assert_eq!(says_so, length > 256 * 1024, "{path}, {length}: {answers}");
        }
    }
}

#[tokio::test]
async fn nobody_is_asked_to_send_a_body_for_nothing() {
    let server = Server::service(refusing(), BOUNDS).await;
    let head = |path: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
    };
    let answer = server.say(&head("/401")).await;
    assert!(answer.starts_with("HTTP/1.1 401 ") && answer.contains("connection: close"), "{answer}");

    let mut stream = server.connect().await;
    stream.write_all(head("/json").as_bytes()).await.unwrap();
    let mut told = [0; 25];
    timeout(SOON, stream.read_exact(&mut told)).await.unwrap().unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").await.unwrap();
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let answers = rest(&mut stream).await;
    assert!(answers.starts_with("HTTP/1.1 200 ") && answers.ends_with("welcome"), "{answers}");
}

#[tokio::test]
async fn what_is_no_request_is_answered_with_a_problem_and_ends_the_connection() {
    let server = Server::service(refusing(), BOUNDS).await;
    let long = "x".repeat(9000);
    let longer = "x".repeat(100_000);
    let headers: String = (0..200).map(|number| format!("X-{number}: 1\r\n")).collect();
    for (text, status, kind) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("nonsense\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("GET / HTTP/3.7\r\nHost: a\r\n\r\n".to_owned(), 400, "malformed-request"),
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}".to_owned(), 400, "malformed-request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx".to_owned(),
            400,
            "malformed-request",
        ),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n".to_owned(), 400, "malformed-request"),
        (
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned(),
            400,
            "malformed-request",
        ),
        (format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "uri-too-long"),
        (format!("GET /?{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "uri-too-long"),
        (format!("GET /{longer} HTTP/1.1\r\nHost: a\r\n\r\n"), 414, "uri-too-long"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {longer}\r\n\r\n"), 431, "head-too-large"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"), 431, "head-too-large"),
    ] {
        let shown = &text[..text.len().min(80)];
        let answer = server.say(&text).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{shown:?}: {answer:?}"));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{shown:?}: {answer}");
        assert!(head.contains("content-type: application/problem+json"), "{shown:?}: {answer}");
        assert!(head.contains("connection: close"), "{shown:?}: {answer}");
        let problem: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(problem["type"], format!("https://shop.dev/problems/{kind}"), "{shown:?}");
        assert_eq!(problem["status"], status, "{shown:?}");
    }
}

#[tokio::test]
async fn two_lengths_are_no_way_to_smuggle_a_request() {
    let server = Server::service(refusing(), BOUNDS).await;
    // By its length the body holds a whole request; by its chunks it is empty, and what follows is never looked at.
    let hidden = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    for (one, other) in [
        (format!("Content-Length: {}", hidden.len() + 5), "Transfer-Encoding: chunked".to_owned()),
        ("Transfer-Encoding: chunked".to_owned(), format!("Content-Length: {}", hidden.len() + 5)),
    ] {
        let answer = server
            .say(&format!("POST /200 HTTP/1.1\r\nHost: shop\r\n{one}\r\n{other}\r\n\r\n0\r\n\r\n{hidden}"))
            .await;
        assert!(answer.contains("connection: close"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    }
}

#[tokio::test]
async fn requests_in_a_row_and_a_client_that_has_said_all_are_answered() {
    let server = Server::service(refusing(), BOUNDS).await;
    let request = "GET / HTTP/1.1\r\nHost: shop\r\n\r\n";
    let mut stream = server.connect().await;
    stream.write_all(request.repeat(20).as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answers = rest(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 20, "{answers}");

    // Half of a request is none.
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    stream.shutdown().await.unwrap();
    assert_eq!(rest(&mut stream).await, "");
    let mut stream = server.connect().await;
    stream
        .write_all(b"POST /json HTTP/1.1\r\nHost: shop\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let answer = rest(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_slash_too_many_is_redirected_with_method_and_query() {
    let server = Server::service(refusing(), BOUNDS).await;
    for (target, location) in [("/json/?a=1", "/json?a=1"), ("/health/", "/health"), ("/readyz/", "/readyz")]
    {
        let answer = server.say(&format!("POST {target} HTTP/1.0\r\nContent-Length: 2\r\n\r\n{{}}")).await;
        assert!(answer.starts_with("HTTP/1.0 308 "), "{answer}");
        assert!(answer.contains(&format!("\r\nlocation: {location}\r\n")), "{answer}");
    }
    for target in ["//evil.example/", "/nothing/", "//", "/\\evil.example/"] {
        let answer = server.say(&format!("GET {target} HTTP/1.0\r\n\r\n")).await;
        assert!(answer.starts_with("HTTP/1.0 404 ") && !answer.contains("location:"), "{target}: {answer}");
    }
}
