//! Logs and traces. Every line contains its trace's id; spans are exported by OTLP if an endpoint is set.

use std::{fmt, io::IsTerminal as _, time::Duration};

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use opentelemetry::{
    KeyValue, global,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_otlp::{WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, SpanExporter},
};
use serde::ser::{SerializeMap as _, Serializer as _};
use tracing::{Event, Subscriber, field::Field};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _,
    field::RecordFields,
    filter::{LevelFilter, Targets},
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::{DefaultFields, Writer},
    },
    layer::SubscriberExt as _,
    registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::otel::{Destination, Variables};

/// Telemetry's environment variables. The standard `OTEL_*` variables are supported too, or named in a warning at start.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Telemetry")]
pub struct TelemetryConfig {
    /// Which log lines to write, as in tracing-subscriber: `info,order=debug`
    #[arg(long, env = "RUST_LOG", default_value = "info")]
    pub log: String,
    /// How to write them: `auto` is text on a terminal and JSON elsewhere
    #[arg(long, env = "LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,
    /// Where to send traces (OTLP over HTTP), such as http://jaeger:4318; unset: nowhere
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Keeps the exporter alive; [`Telemetry::shutdown`] sends the remaining spans.
#[derive(Debug)]
#[must_use = "without a shutdown the last spans are lost"]
pub struct Telemetry(SdkTracerProvider);

impl Telemetry {
    /// Sends the remaining spans, within three seconds, so that a stop with its 25 seconds for tasks ends
    /// before Kubernetes' 30.
    pub fn shutdown(self) {
        if let Err(error) = self.0.shutdown_with_timeout(Duration::from_secs(3)) {
            eprintln!("the last spans were not sent: {error}");
        }
    }
}

/// Applied whatever `RUST_LOG` says: the AMQP client would log returned messages with their payload and, at `trace`, the login;
/// PostgreSQL's notices report at every start that the migrations' tables already exist.
const HUSHED: [&str; 4] = [
    "lapin=info",
    "lapin::returned_messages=off",
    "sqlx::postgres::notice=warn",
    // It logs each connection that our hooks refuse; the hooks log the reason themselves, once per period.
    "sqlx_core::pool=off",
];

/// Installs the process's logger and tracer. Call it once per process.
///
/// # Errors
/// A malformed filter or endpoint. An unreachable collector is not an error: spans are dropped.
pub fn init(service: &'static str, config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let mut filter = EnvFilter::try_new(&config.log).map_err(|error| anyhow::anyhow!("RUST_LOG: {error}"))?;
    for directive in HUSHED {
        filter = filter.add_directive(directive.parse()?);
    }
    let terminal = std::io::stdout().is_terminal();
    let json = match config.log_format {
        LogFormat::Auto => !terminal,
        LogFormat::Json => true,
        LogFormat::Text => false,
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(WithTraceId { json })
        .fmt_fields(SpanFields { shown: json });
    // Left unset on a terminal, where NO_COLOR is respected.
    let lines = if json || !terminal { lines.with_ansi(false) } else { lines };
    let otel = Variables::of_the_process().read(config.otlp_endpoint.as_deref())?;
    let exporter = otel.destination.as_ref().map(otlp_exporter).transpose()?;
    let provider = tracer_provider(service, exporter);
    if otel.propagates {
        global::set_text_map_propagator(TraceContextPropagator::new());
    }
    let tracer = provider.tracer(service);
    let spans = tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_threads(false)
        .with_location(false)
        // Whoever needs a span's context asks the span. To make it the thread's own too would cost each entry of a span.
        .with_context_activation(false)
        .with_tracked_inactivity(false);
    // Each has its own filter: with fewer log lines there are still traces, and a trace_id in every problem.
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(spans.with_filter(traced()))
        .try_init()?;
    if !otel.ignored.is_empty() {
        tracing::warn!(
            ignored = otel.ignored.join("; "),
            "OpenTelemetry variables that are set but not supported"
        );
    }
    Ok(Telemetry(provider))
}

/// Which spans are recorded: not the AMQP client's own, which would make a trace for each connection.
fn traced() -> Targets {
    Targets::new().with_default(LevelFilter::INFO).with_target("lapin", LevelFilter::OFF)
}

fn tracer_provider<E: SpanExporter + 'static>(
    service: &'static str,
    exporter: Option<E>,
) -> SdkTracerProvider {
    // The builder's resource detectors read OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES; ours is only the default name.
    let mut resource =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if std::env::var_os("OTEL_SERVICE_NAME").is_none_or(|name| name.is_empty()) {
        resource = resource.with_service_name(service);
    }
    let builder = SdkTracerProvider::builder().with_resource(resource.build());
    match exporter {
        Some(exporter) => builder.with_batch_exporter(exporter).build(),
        None => builder.build(),
    }
}

/// The exporter blocks on its own thread, which the batch processor owns; its client must be created outside
/// the async runtime.
fn otlp_exporter(destination: &Destination) -> anyhow::Result<opentelemetry_otlp::SpanExporter> {
    let mut builder = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(&destination.endpoint)
        .with_protocol(destination.protocol);
    if let Some(file) = &destination.authorities {
        builder =
            builder.with_http_client(client_that_trusts(file).context("OTEL_EXPORTER_OTLP_CERTIFICATE")?);
    }
    let build = || builder.build();
    let built =
        std::thread::spawn(build).join().map_err(|_| anyhow::anyhow!("the OTLP exporter panicked"))?;
    built.map_err(|error| anyhow::anyhow!("OTEL_EXPORTER_OTLP_ENDPOINT: {error}"))
}

/// A client that also trusts the certificate authorities in `file`.
fn client_that_trusts(file: &str) -> anyhow::Result<reqwest::blocking::Client> {
    let authorities = reqwest::Certificate::from_pem_bundle(&std::fs::read(file).context(file.to_owned())?)?;
    let build = move || reqwest::blocking::Client::builder().tls_certs_merge(authorities).build();
    Ok(std::thread::spawn(build).join().map_err(|_| anyhow::anyhow!("the OTLP client panicked"))??)
}

/// The current trace's id, 32 hex digits; `None` outside a trace.
pub fn trace_id() -> Option<String> {
    let context = tracing::Span::current().context();
    let span_context = context.span().span_context().clone();
    span_context.is_valid().then(|| span_context.trace_id().to_string())
}

/// Log lines with the trace's id.
struct WithTraceId {
    json: bool,
}

impl<S, N> FormatEvent<S, N> for WithTraceId
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.json { json_line(context, writer, event) } else { text_line(writer, event) }
    }
}

/// The fields of spans, `name="value"`, which are formatted when a span begins, whether or not a line is written in it. Only JSON lines show them.
struct SpanFields {
    shown: bool,
}

impl<'w> FormatFields<'w> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        if !self.shown {
            return Ok(());
        }
        let mut pairs = Pairs { writer, result: Ok(()), is_first: true };
        fields.record(&mut pairs);
        pairs.result
    }
}

struct Pairs<'w> {
    writer: Writer<'w>,
    result: fmt::Result,
    is_first: bool,
}

impl Pairs<'_> {
    fn pair(&mut self, field: &Field, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        self.writer.write_str(field.name())?;
        self.writer.write_char('=')?;
        self.writer.write_fmt(value)
    }
}

impl tracing::field::Visit for Pairs<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // For the exporter only.
        let is_told = !matches!(field.name(), "otel.kind" | "otel.status_code");
        if is_told && self.result.is_ok() {
            self.result = self.pair(field, format_args!("{value:?}"));
        }
    }
}

fn text_line(mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
    let now = shop_core::Clock::system().now();
    let level = *event.metadata().level();
    let colour = match level {
        _ if !writer.has_ansi_escapes() => None,
        tracing::Level::ERROR => Some("\u{1b}[31m"),
        tracing::Level::WARN => Some("\u{1b}[33m"),
        tracing::Level::INFO => Some("\u{1b}[32m"),
        _ => Some("\u{1b}[2m"),
    };
    let (on, off) = colour.map_or(("", ""), |colour| (colour, "\u{1b}[0m"));
    write!(writer, "{} {on}{level:>5}{off} {}: ", now.format("%H:%M:%S%.3f"), event.metadata().target())?;
    DefaultFields::new().format_fields(writer.by_ref(), event)?;
    if let Some(trace_id) = trace_id() {
        write!(writer, " trace_id={trace_id}")?;
    }
    writeln!(writer)
}

fn json_line<S, N>(context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut line = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::new(&mut line);
    let write = |serializer: &mut serde_json::Serializer<&mut Vec<u8>>| -> Result<(), serde_json::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("timestamp", &shop_core::Clock::system().now())?;
        map.serialize_entry("level", event.metadata().level().as_str())?;
        map.serialize_entry("target", event.metadata().target())?;
        if let Some(trace_id) = trace_id() {
            map.serialize_entry("trace_id", &trace_id)?;
        }
        if let Some(span) = context.lookup_current() {
            map.serialize_entry("span", span.name())?;
            if let Some(fields) =
                span.extensions().get::<FormattedFields<N>>().filter(|fields| !fields.is_empty())
            {
                map.serialize_entry("span_fields", fields.as_str())?;
            }
        }
        let mut fields = JsonFields { map, error: None };
        event.record(&mut fields);
        match fields.error {
            Some(error) => Err(error),
            None => fields.map.end(),
        }
    };
    write(&mut serializer).map_err(|_| fmt::Error)?;
    writeln!(writer, "{}", String::from_utf8_lossy(&line))
}

struct JsonFields<M: serde::ser::SerializeMap> {
    map: M,
    error: Option<M::Error>,
}

impl<M: serde::ser::SerializeMap> JsonFields<M> {
    fn record(&mut self, field: &Field, value: &impl serde::Serialize) {
        if self.error.is_none() {
            self.error = self.map.serialize_entry(field.name(), value).err();
        }
    }
}

impl<M: serde::ser::SerializeMap> tracing::field::Visit for JsonFields<M> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.record(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.record(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.record(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.record(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record(field, &value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record(field, &format!("{value:?}"));
    }
}
