//! What the standard `OTEL_*` variables say: where and how spans are sent, and which of the variables have no effect here.
//!
//! The exporter and the SDK read many of them by themselves. This module decides the rest, and knows which values they would
//! silently ignore.

use std::collections::BTreeMap;

use opentelemetry_otlp::Protocol;
use url::Url;

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Destination {
    /// The whole address, path included.
    pub(crate) endpoint: String,
    pub(crate) protocol: Protocol,
    /// A file with certificate authorities for the collector, in addition to those that the system trusts.
    pub(crate) authorities: Option<String>,
}

/// What the variables configure.
#[derive(Debug)]
pub(crate) struct Otel {
    /// `None`: nowhere.
    pub(crate) destination: Option<Destination>,
    /// Whether traces are continued from callers and passed on to callees.
    pub(crate) propagates: bool,
    /// What is set but ignored, in words, without values that may be secret.
    pub(crate) ignored: Vec<String>,
}

/// The variables whose names begin with `OTEL_`. An empty one counts as unset.
pub(crate) struct Variables(BTreeMap<String, String>);

/// Used by the SDK or the exporter, whatever the value.
const HEEDED: [&str; 7] = [
    "OTEL_SERVICE_NAME",
    "OTEL_RESOURCE_ATTRIBUTES",
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_ENDPOINT_FILE",
    "OTEL_SDK_DISABLED",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Used if the value is a number.
const NUMBERS: [&str; 9] = [
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
];

const SAMPLERS: [&str; 6] = [
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
];

impl Variables {
    /// The variables of this process.
    pub(crate) fn of_the_process() -> Self {
        let variables = std::env::vars_os();
        Self::from_iter(
            variables.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The variable for traces, or the one for all signals.
    fn of_traces(&self, name: &str) -> Option<(String, &str)> {
        let names = [format!("OTEL_EXPORTER_OTLP_TRACES_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        names.into_iter().find_map(|name| self.get(&name).map(|value| (name.clone(), value)))
    }

    /// Reads them, with `endpoint` for OTEL_EXPORTER_OTLP_ENDPOINT.
    ///
    /// # Errors
    /// An endpoint is not an address.
    pub(crate) fn read(&self, endpoint: Option<&str>) -> anyhow::Result<Otel> {
        let mut ignored = self.misunderstood();
        let exporters = self.exporters(&mut ignored);
        let destination = match (exporters, self.endpoint(endpoint)?) {
            (Exporters::Otlp { asked }, endpoint) => {
                let endpoint =
                    endpoint.or_else(|| asked.then(|| "http://localhost:4318/v1/traces".to_owned()));
                endpoint.map(|endpoint| self.destination(endpoint, &mut ignored))
            }
            (Exporters::None, _) => None,
        };
        let propagators = self.get("OTEL_PROPAGATORS");
        let propagates =
            propagators.is_none_or(|names| names.split(',').any(|name| name.trim() == "tracecontext"));
        Ok(Otel { destination, propagates, ignored })
    }

    fn exporters(&self, ignored: &mut Vec<String>) -> Exporters {
        if self.get("OTEL_SDK_DISABLED").is_some_and(|disabled| disabled.eq_ignore_ascii_case("true")) {
            return Exporters::None;
        }
        let Some(names) = self.get("OTEL_TRACES_EXPORTER") else { return Exporters::Otlp { asked: false } };
        let names: Vec<&str> = names.split(',').map(str::trim).collect();
        if let Some(other) = names.iter().find(|name| !matches!(**name, "otlp" | "none")) {
            ignored.push(format!("OTEL_TRACES_EXPORTER={other} (there are otlp and none)"));
        }
        if names.contains(&"otlp") { Exporters::Otlp { asked: true } } else { Exporters::None }
    }

    /// The endpoint for traces is used as it is; the one for all signals gets the path of traces.
    fn endpoint(&self, of_all_signals: Option<&str>) -> anyhow::Result<Option<String>> {
        let (name, endpoint) = match (self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), of_all_signals) {
            (Some(endpoint), _) => ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", endpoint.to_owned()),
            (None, Some(endpoint)) => {
                ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("{}/v1/traces", endpoint.trim_end_matches('/')))
            }
            (None, None) => return Ok(None),
        };
        let url = Url::parse(&endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        anyhow::ensure!(url.is_some(), "{name}: expected an http:// or https:// address");
        Ok(Some(endpoint))
    }

    fn destination(&self, endpoint: String, ignored: &mut Vec<String>) -> Destination {
        let protocol = match self.of_traces("PROTOCOL") {
            Some((_, "http/json")) => Protocol::HttpJson,
            None | Some((_, "http/protobuf")) => Protocol::HttpBinary,
            Some((name, other)) => {
                ignored.push(format!(
                    "{name}={other} (spoken are http/protobuf, which is used, and http/json: the endpoint has to be the \
                     collector's port for HTTP, 4318 as a rule)"
                ));
                Protocol::HttpBinary
            }
        };
        if let Some((name, other)) =
            self.of_traces("COMPRESSION").filter(|(_, value)| !matches!(*value, "gzip" | "none"))
        {
            ignored.push(format!("{name}={other} (there are gzip and none)"));
        }
        let authorities = self.of_traces("CERTIFICATE").map(|(_, file)| file.to_owned());
        Destination { endpoint, protocol, authorities }
    }

    /// Variables that nothing reads, or whose values the SDK would ignore.
    fn misunderstood(&self) -> Vec<String> {
        let with_value = |name: &str, value: &str, why: &str| Some(format!("{name}={value} ({why})"));
        let told = |(name, value): (&String, &String)| match (name.as_str(), value.as_str()) {
            (name, _) if HEEDED.contains(&name) => None,
            (name, value) if NUMBERS.contains(&name) => {
                if value.parse::<u64>().is_ok() {
                    None
                } else {
                    with_value(name, value, "expected a number")
                }
            }
            ("OTEL_TRACES_SAMPLER", value) if SAMPLERS.contains(&value) => self.sampler_without_ratio(value),
            ("OTEL_TRACES_SAMPLER", value) => with_value(name, value, "every trace is kept"),
            ("OTEL_PROPAGATORS", value) => {
                let others = value
                    .split(',')
                    .map(str::trim)
                    .filter(|name| !matches!(*name, "tracecontext" | "none" | "baggage"));
                let others: Vec<&str> = others.collect();
                if others.is_empty() {
                    None
                } else {
                    with_value(name, &others.join(","), "there is tracecontext")
                }
            }
            // Checked where they are read.
            ("OTEL_TRACES_EXPORTER", _) => None,
            ("OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER", "none") => None,
            ("OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER", value) => {
                with_value(name, value, "metrics are at /metrics, and logs on standard output")
            }
            (name, _)
                if OF_THE_EXPORTER.iter().any(|of| {
                    name.strip_prefix("OTEL_EXPORTER_OTLP_")
                        .is_some_and(|rest| rest.strip_prefix("TRACES_").unwrap_or(rest) == *of)
                }) =>
            {
                None
            }
            (name, _) => Some(name.to_owned()),
        };
        self.0.iter().filter_map(told).collect()
    }

    fn sampler_without_ratio(&self, sampler: &str) -> Option<String> {
        let ratio = self.get("OTEL_TRACES_SAMPLER_ARG").and_then(|ratio| ratio.parse::<f64>().ok());
        let needed =
            sampler.ends_with("traceidratio") && !ratio.is_some_and(|ratio| (0.0..=1.0).contains(&ratio));
        needed
            .then(|| format!("OTEL_TRACES_SAMPLER={sampler} (OTEL_TRACES_SAMPLER_ARG is no ratio of 0 to 1)"))
    }
}

/// Checked in [`Variables::destination`].
const OF_THE_EXPORTER: [&str; 4] = ["ENDPOINT", "PROTOCOL", "COMPRESSION", "CERTIFICATE"];

impl FromIterator<(String, String)> for Variables {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        let of_otel =
            |(name, value): &(String, String)| name.starts_with("OTEL_") && !value.trim().is_empty();
        let trimmed = |(name, value): (String, String)| (name, value.trim().to_owned());
        Self(variables.into_iter().filter(of_otel).map(trimmed).collect())
    }
}

enum Exporters {
    /// OTLP. If it was asked for by name, it has a default endpoint.
    Otlp {
        asked: bool,
    },
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Otel {
        let variables = variables.iter().map(|(name, value)| (format!("OTEL_{name}"), (*value).to_owned()));
        let variables: Variables = variables.collect();
        let endpoint = variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(ToOwned::to_owned);
        variables.read(endpoint.as_deref()).unwrap()
    }

    fn endpoint(variables: &[(&str, &str)]) -> Option<String> {
        read(variables).destination.map(|destination| destination.endpoint)
    }

    const ENDPOINT: (&str, &str) = ("EXPORTER_OTLP_ENDPOINT", "http://jaeger:4318/");
    const TRACES: (&str, &str) = ("EXPORTER_OTLP_TRACES_ENDPOINT", "http://jaeger:4318/mine");

    #[test]
    fn spans_go_where_the_variables_say() {
        assert_eq!(endpoint(&[]), None);
        assert_eq!(endpoint(&[ENDPOINT]).unwrap(), "http://jaeger:4318/v1/traces");
        assert_eq!(endpoint(&[TRACES]).unwrap(), "http://jaeger:4318/mine");
        assert_eq!(endpoint(&[ENDPOINT, TRACES]).unwrap(), "http://jaeger:4318/mine");
        assert_eq!(endpoint(&[("TRACES_EXPORTER", "otlp")]).unwrap(), "http://localhost:4318/v1/traces");
        assert_eq!(endpoint(&[ENDPOINT, ("TRACES_EXPORTER", "none")]), None);
        assert_eq!(endpoint(&[TRACES, ("SDK_DISABLED", "True")]), None);
        assert!(endpoint(&[TRACES, ("SDK_DISABLED", "false")]).is_some());
        assert_eq!(endpoint(&[ENDPOINT, ("TRACES_EXPORTER", "console")]), None);
        assert!(endpoint(&[ENDPOINT, ("TRACES_EXPORTER", "console,otlp")]).is_some());
        let wrong: Variables = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned(), "jaeger:4317".to_owned())]
            .into_iter()
            .collect();
        let told = wrong.read(None).unwrap_err().to_string();
        assert_eq!(told, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: expected an http:// or https:// address");
    }

    #[test]
    fn the_protocol_for_traces_goes_before_the_one_for_all_signals() {
        let protocol = |variables: &[(&str, &str)]| {
            read(&[&[ENDPOINT], variables].concat()).destination.unwrap().protocol
        };
        assert_eq!(protocol(&[]), Protocol::HttpBinary);
        assert_eq!(protocol(&[("EXPORTER_OTLP_PROTOCOL", "http/json")]), Protocol::HttpJson);
        let both =
            [("EXPORTER_OTLP_PROTOCOL", "http/json"), ("EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")];
        assert_eq!(protocol(&both), Protocol::HttpBinary);
    }

    #[test]
    fn what_is_set_and_not_heeded_is_named() {
        let ignored = read(&[
            ENDPOINT,
            ("EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
            ("EXPORTER_OTLP_CLIENT_KEY", "/key"),
            ("EXPORTER_OTLP_METRICS_ENDPOINT", "http://jaeger"),
            ("TRACES_EXPORTER", "zipkin,otlp"),
            ("METRICS_EXPORTER", "otlp"),
            ("TRACES_SAMPLER", "xray"),
            ("PROPAGATORS", "b3,tracecontext"),
            ("BSP_SCHEDULE_DELAY", "soon"),
            ("SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100"),
            ("LOG_LEVEL", "debug"),
        ]);
        insta::assert_snapshot!(ignored.ignored.join("\n"), @"
        OTEL_BSP_SCHEDULE_DELAY=soon (expected a number)
        OTEL_EXPORTER_OTLP_CLIENT_KEY
        OTEL_EXPORTER_OTLP_METRICS_ENDPOINT
        OTEL_LOG_LEVEL
        OTEL_METRICS_EXPORTER=otlp (metrics are at /metrics, and logs on standard output)
        OTEL_PROPAGATORS=b3 (there is tracecontext)
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT
        OTEL_TRACES_SAMPLER=xray (every trace is kept)
        OTEL_TRACES_EXPORTER=zipkin (there are otlp and none)
        OTEL_EXPORTER_OTLP_PROTOCOL=grpc (spoken are http/protobuf, which is used, and http/json: the endpoint has to be the collector's port for HTTP, 4318 as a rule)
        OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=zstd (there are gzip and none)
        ");
        let heeded = read(&[
            ENDPOINT,
            TRACES,
            ("EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("EXPORTER_OTLP_HEADERS", "authorization=Bearer s3cret"),
            ("EXPORTER_OTLP_CERTIFICATE", "/ca.pem"),
            ("EXPORTER_OTLP_TIMEOUT", "1000"),
            ("TRACES_EXPORTER", "otlp"),
            ("METRICS_EXPORTER", "none"),
            ("LOGS_EXPORTER", "none"),
            ("TRACES_SAMPLER", "parentbased_traceidratio"),
            ("TRACES_SAMPLER_ARG", "0.5"),
            ("PROPAGATORS", "tracecontext,baggage"),
            ("BSP_SCHEDULE_DELAY", "100"),
            ("SPAN_EVENT_COUNT_LIMIT", "10"),
            ("SERVICE_NAME", "mine"),
            ("RESOURCE_ATTRIBUTES", "a=b"),
            ("SDK_DISABLED", "false"),
            ("LOG_LEVEL", ""),
        ]);
        assert_eq!(heeded.ignored, Vec::<String>::new());
        assert_eq!(heeded.destination.unwrap().authorities.as_deref(), Some("/ca.pem"));
        assert!(!read(&[("PROPAGATORS", "none")]).propagates && read(&[]).propagates);
        assert_eq!(read(&[("TRACES_SAMPLER", "traceidratio")]).ignored.len(), 1);
    }
}
