//! `GET /metrics`: a run's figures for Prometheus, made of the newest snapshot when somebody asks.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;

use super::Watched;
use crate::report::{Metrics, MetricsFormat};

/// The route.
pub fn routes(watched: Watched) -> Router {
    Router::new().route("/metrics", get(metrics)).with_state(watched)
}

async fn metrics(State(watched): State<Watched>, headers: HeaderMap) -> Response {
    // The borrow is given back at once: the run must not wait for a reader.
    let snapshot = watched.snapshots.borrow().clone();
    let Some(snapshot) = snapshot else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the run has no figures yet\n").into_response();
    };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let format = MetricsFormat::wanted(accept);
    let metrics = Metrics::of_snapshot(&watched.scenario, watched.seed, watched.is_virtual, &snapshot);
    ([(header::CONTENT_TYPE, format.content_type())], metrics.encode(format)).into_response()
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::sync::Arc;

    use tokio::sync::watch;

    use super::*;
    use crate::report::sample;
    use crate::web::Server;

    fn get(server: &Server, accept: &str) -> String {
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn a_scraper_gets_the_newest_snapshot_in_the_format_it_asks_for() {
        let (sender, snapshots) = watch::channel(None);
        let watched =
            Watched { scenario: Arc::new(sample::scenario()), seed: 1, is_virtual: false, snapshots };
        let server = Server::start(([127, 0, 0, 1], 0).into(), routes(watched)).unwrap();
        assert!(get(&server, "*/*").starts_with("HTTP/1.1 503"));
        sender.send_replace(Some(Arc::new(sample::measuring())));
        let text = get(&server, "*/*");
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        let wanted = "fleetsim_executions_total{scenario=\"ci-smoke\",label_team=\"fleet\",workload=\"reboot\",\
                      group=\"fast\",status=\"succeeded\"} 1300\n";
        assert!(text.contains(wanted), "{text}");
        let open = get(&server, "application/openmetrics-text;version=1.0.0");
        assert!(open.contains("content-type: application/openmetrics-text") && open.ends_with("# EOF\n"));
        let native =
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";
        assert!(get(&server, native).contains("content-type: application/vnd.google.protobuf"));
    }
}
