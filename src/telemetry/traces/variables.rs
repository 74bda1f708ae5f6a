//! The standard variables of OpenTelemetry: whether traces are on, and whether the values can be used. The SDK would ignore
//! a wrong one.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
const PROTOCOLS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const HEADERS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS"];
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const COMPRESSIONS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION"];
const DISABLED: &str = "OTEL_SDK_DISABLED";
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";
const SERVICE_NAME: &str = "OTEL_SERVICE_NAME";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";

/// The memory for the whole queue is taken at the start, about half a kilobyte for each span.
const LARGEST_QUEUE: u32 = 100_000;

/// Read by the SDK; each is a number.
const NUMBERS: [&str; 6] = [
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_EXPORT_TIMEOUT",
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

/// The one that the SDK uses.
const DEFAULT_COLLECTOR: &str = "http://localhost:4318";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// What the SDK does not read by itself.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(super) struct Settings {
    /// How long an export may take.
    pub(super) timeout: Duration,
    /// Whether a variable names the service.
    pub(super) names_service: bool,
    /// The whole URL to which traces are sent. It may have a password.
    pub(super) collector: Url,
}

/// Variables that cannot be used, each with its name.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot be exported:\n{}", .0.join("\n"))]
pub struct InvalidVariables(pub Vec<String>);

/// The variables that are set, and what is wrong with them. An empty one counts as unset, as OpenTelemetry requires.
struct Reader<'a> {
    environment: &'a BTreeMap<String, String>,
    problems: Vec<String>,
}

impl Settings {
    /// `None` if traces are off.
    pub(super) fn read(environment: &BTreeMap<String, String>) -> Result<Option<Self>, InvalidVariables> {
        let mut reader = Reader { environment, problems: Vec::new() };
        let settings = if reader.is_on() { reader.settings() } else { None };
        if reader.problems.is_empty() { Ok(settings) } else { Err(InvalidVariables(reader.problems)) }
    }
}

impl<'a> Reader<'a> {
    /// Not trimmed, because the SDK does not trim the variables that it reads by itself.
    fn get(&self, name: &str) -> Option<&'a str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The first of these variables that is set. The one for traces alone has precedence.
    fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, &'a str)> {
        names.into_iter().find_map(|name| Some((name, self.get(name)?)))
    }

    /// The value is not repeated: it may be secret.
    fn refuse(&mut self, name: &str, remedy: impl Display) {
        self.problems.push(format!("{name}: {remedy}"));
    }

    fn is_on(&mut self) -> bool {
        let disabled = self.get(DISABLED).map(str::to_ascii_lowercase);
        match disabled.as_deref() {
            Some("true") => return false,
            None | Some("false") => {}
            Some(_) => self.refuse(DISABLED, "write true or false"),
        }
        match self.get(EXPORTER) {
            Some("none") => false,
            Some("otlp") => true,
            None => self.first(ENDPOINTS).is_some(),
            Some(_) => {
                self.refuse(EXPORTER, "only otlp and none are supported");
                false
            }
        }
    }

    fn settings(&mut self) -> Option<Settings> {
        self.check_protocol();
        self.check_headers();
        self.check_sampler();
        for name in NUMBERS {
            self.number::<u32>(name);
        }
        if self.number::<u32>(QUEUE_SIZE).is_some_and(|size| size > LARGEST_QUEUE) {
            self.refuse(QUEUE_SIZE, format_args!("write {LARGEST_QUEUE} at most"));
        }
        let attributes = self.get(RESOURCE).unwrap_or_default();
        let keys: Vec<_> = attributes.split_terminator(',').map(|entry| entry.split_once('=')).collect();
        if keys.contains(&None) {
            self.refuse(RESOURCE, "write NAME=VALUE, and a comma before the next");
        }
        let named = keys.iter().flatten().any(|(key, _)| key.trim() == "service.name");
        let timeout = self.first(TIMEOUTS).and_then(|(name, _)| self.number(name)).map(Duration::from_millis);
        let names_service = named || self.get(SERVICE_NAME).is_some();
        Some(Settings {
            timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
            names_service,
            collector: self.collector()?,
        })
    }

    fn collector(&mut self) -> Option<Url> {
        let (name, text) = self.first(ENDPOINTS).unwrap_or((ENDPOINTS[1], DEFAULT_COLLECTOR));
        let is_usable =
            |url: &Url| matches!(url.scheme(), "http" | "https") && url.as_str().parse::<Uri>().is_ok();
        let Some(mut url) = Url::parse(text).ok().filter(is_usable) else {
            self.refuse(name, format_args!("write a URL such as {DEFAULT_COLLECTOR}"));
            return None;
        };
        if name == ENDPOINTS[1] {
            let path = format!("{}/v1/traces", url.path().trim_end_matches('/'));
            url.set_path(&path);
        }
        Some(url)
    }

    fn check_protocol(&mut self) {
        if let Some((name, protocol)) = self.first(PROTOCOLS)
            && protocol != "http/protobuf"
        {
            self.refuse(
                name,
                "only http/protobuf is supported; the usual port of a collector for it is 4318",
            );
        }
        if let Some((name, compression)) = self.first(COMPRESSIONS)
            && compression != "none"
        {
            self.refuse(name, "only none is supported");
        }
    }

    fn check_headers(&mut self) {
        let Some((name, headers)) = self.first(HEADERS) else { return };
        let is_header = |entry: &str| {
            entry.split_once('=').is_some_and(|(name, value)| {
                let value = percent_decode_str(value.trim()).decode_utf8();
                HeaderName::from_str(name.trim()).is_ok()
                    && value.is_ok_and(|value| !value.is_empty() && HeaderValue::from_str(&value).is_ok())
            })
        };
        if !headers.split_terminator(',').all(is_header) {
            self.refuse(name, "write NAME=VALUE, and a comma before the next");
        }
    }

    fn check_sampler(&mut self) {
        let Some(sampler) = self.get(SAMPLER) else { return };
        if !SAMPLERS.contains(&sampler) {
            self.refuse(SAMPLER, format_args!("write one of {}", SAMPLERS.join(", ")));
        }
        if sampler.ends_with("traceidratio") {
            let ratio = self.get(SAMPLER_ARGUMENT).map(str::parse::<f64>);
            if !ratio.is_none_or(|ratio| ratio.is_ok_and(|ratio| (0.0..=1.0).contains(&ratio))) {
                self.refuse(SAMPLER_ARGUMENT, "write a number from 0 to 1");
            }
        }
    }

    /// A number above 0.
    fn number<N: FromStr + Default + PartialEq>(&mut self, name: &str) -> Option<N> {
        let number = self.get(name)?.parse().ok().filter(|number| *number != N::default());
        if number.is_none() {
            self.refuse(name, "write a whole number above 0");
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{InvalidVariables, Settings};

    const ON: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:secret@collector:4318/x");

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, InvalidVariables> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(&variables.collect())
    }

    #[test]
    fn traces_are_off_unless_an_endpoint_or_the_exporter_is_set() {
        for off in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")],
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_SERVICE_NAME", "users")],
            &[ON, ("OTEL_TRACES_EXPORTER", "none")],
            &[ON, ("OTEL_SDK_DISABLED", "TRUE")],
        ] {
            assert_eq!(read(off).unwrap(), None, "{off:?}");
        }
        for on in [
            &[ON][..],
            &[ON, ("OTEL_SDK_DISABLED", "false")],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/v1/traces")],
            &[("OTEL_TRACES_EXPORTER", "otlp")],
        ] {
            assert!(read(on).unwrap().is_some(), "{on:?}");
        }
    }

    #[test]
    fn the_variables_for_traces_have_precedence() {
        let settings = read(&[
            ON,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "2000"),
            ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test, service.name=users"),
        ]);
        let collector = "http://user:secret@collector:4318/x/v1/traces".parse().unwrap();
        let expected = Settings { timeout: Duration::from_secs(2), names_service: true, collector };
        assert_eq!(settings.unwrap(), Some(expected));
    }

    #[test]
    fn the_path_for_traces_is_added_to_the_endpoint_of_all_signals_alone() {
        let [all, traces] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        for (name, value, expected) in [
            (all, "https://collector", "https://collector/v1/traces"),
            (all, "https://collector/otlp/", "https://collector/otlp/v1/traces"),
            (all, "https://collector/?team=a", "https://collector/v1/traces?team=a"),
            (all, " https://collector/a b ", "https://collector/a%20b/v1/traces"),
            (traces, "https://collector", "https://collector/"),
            (traces, "https://collector/otlp", "https://collector/otlp"),
        ] {
            let settings = read(&[(name, value)]).unwrap().unwrap();
            assert_eq!(settings.collector.as_str(), expected, "{value}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_used_is_refused_by_its_name_alone() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:/run/otel"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: Bearer t0ken"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a key=t0ken"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "00"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "4294967295"),
            ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "500 "),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=t0ken%0D%0Aother"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=t0ken%FF"),
            ("OTEL_RESOURCE_ATTRIBUTES", "production"),
            ("OTEL_SDK_DISABLED", "yes"),
        ] {
            let said = read(&[ON, (name, value)]).unwrap_err().to_string();
            assert!(said.contains(&format!("\n{name}: ")), "{said}");
            assert!(!said.contains(value) && !said.contains("t0ken"), "{said}");
        }
        let ratio = [ON, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "10%")];
        assert!(read(&ratio).unwrap_err().to_string().contains("OTEL_TRACES_SAMPLER_ARG"));
        let two = [
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
        ];
        assert_eq!(read(&two).unwrap_err().to_string().lines().count(), 3);
    }
}
