//! The formats in which Prometheus takes metrics, and which of them a scraper gets.

use std::borrow::Cow;

use prometheus_client::encoding::{prometheus_protobuf, prometheus_text, text};
use prometheus_client::registry::Registry;

use super::Metrics;

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus text 0.0.4: what every version reads, the textfile collector as well.
    Text,
    /// OpenMetrics text 1.0.
    OpenMetrics,
    /// Prometheus protobuf: the only one with native histograms; Prometheus asks for it when it wants them.
    Protobuf,
}

impl Format {
    /// The format that a scraper wants most, by its `Accept`; text without a wish, or if it wants none of ours.
    pub fn wanted(accept: &str) -> Self {
        let mut best = (Format::Text, 0.0);
        for choice in accept.split(',') {
            let mut parts = choice.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut parameters) = (1.0, Vec::new());
            for part in parts {
                match part.split_once('=') {
                    Some(("q", value)) => weight = value.trim().parse::<f64>().unwrap_or(0.0),
                    _ => parameters.push(part),
                }
            }
            let format = match kind.as_str() {
                "text/plain" | "text/*" | "*/*" => Format::Text,
                "application/openmetrics-text" => Format::OpenMetrics,
                "application/vnd.google.protobuf"
                    if parameters.contains(&"proto=io.prometheus.client.MetricFamily")
                        && parameters.contains(&"encoding=delimited") =>
                {
                    Format::Protobuf
                }
                _ => continue,
            };
            // The first of equals.
            if weight > best.1 {
                best = (format, weight);
            }
        }
        best.0
    }

    /// As a header says it.
    pub const fn content_type(self) -> &'static str {
        match self {
            Format::Text => prometheus_text::CONTENT_TYPE,
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

impl Metrics {
    /// In this format.
    pub fn encode(&self, format: Format) -> Vec<u8> {
        match format {
            Format::Text => self.text().into_bytes(),
            Format::OpenMetrics => {
                let mut written = String::new();
                text::encode(&mut written, &self.registry()).expect("writing to a String cannot fail");
                written.into_bytes()
            }
            Format::Protobuf => prometheus_protobuf::encode_to_vec(&self.registry())
                .expect("every histogram has classic buckets and no figure has a time stamp"),
        }
    }

    /// As Prometheus text 0.0.4.
    pub fn text(&self) -> String {
        let mut written = String::new();
        prometheus_text::encode(&mut written, &self.registry()).expect("writing to a String cannot fail");
        written
    }

    /// What the encoders read.
    pub(super) fn registry(&self) -> Registry {
        let constant =
            self.constant.iter().map(|(name, value)| (Cow::Owned(name.clone()), Cow::Owned(value.clone())));
        let mut registry = Registry::with_prefix_and_labels("fleetsim", constant);
        registry.register_collector(Box::new(std::sync::Arc::clone(&self.families)));
        registry
    }
}
