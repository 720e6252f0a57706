//! Who may ask. Any web page that a person has open can send requests to this machine: by a name of its own that
//! leads here (DNS rebinding), or across sites. Neither is answered, but for figures that are open to a network anyway.

use std::net::IpAddr;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header, uri::Authority};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};

/// The routes for those who may; `bound` is the address that is listened on.
pub(super) fn guarded(routes: Router, bound: IpAddr) -> Router {
    routes.layer(from_fn_with_state(bound, guard))
}

async fn guard(State(bound): State<IpAddr>, request: Request, next: Next) -> Response {
    if is_open(request.uri().path(), bound) {
        return next.run(request).await;
    }
    match objection(request.headers(), bound) {
        None => next.run(request).await,
        Some(text) => (StatusCode::FORBIDDEN, format!("{text}\n")).into_response(),
    }
}

/// What scrapers and probes ask for, by whatever name the network gives this machine. On loopback there is no
/// other name for it, so there it would only help a trick.
fn is_open(path: &str, bound: IpAddr) -> bool {
    !bound.is_loopback() && matches!(path, "/metrics" | "/healthz")
}

/// Why a request is not answered.
fn objection(headers: &HeaderMap, bound: IpAddr) -> Option<&'static str> {
    let text = |name| headers.get(name).map(|value: &axum::http::HeaderValue| value.to_str().unwrap_or(""));
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_ours(host, bound)) || hosts.next().is_some() {
        return Some(
            "ask for this page by its address or as localhost: other names may be somebody else's trick",
        );
    }
    let ours = format!("http://{}", host.unwrap_or_default());
    if text(header::ORIGIN).is_some_and(|origin| !origin.eq_ignore_ascii_case(&ours)) {
        return Some("another site's page may not ask here");
    }
    let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or(""));
    if site.is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Some("another site's page may not ask here");
    }
    None
}

/// Whether a name can only mean this machine: an address cannot be made to lead elsewhere, `localhost` neither.
/// The port may be another: it is, behind a tunnel.
fn is_ours(host: &str, bound: IpAddr) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) => address.is_loopback() || !bound.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

    #[test]
    fn a_name_of_somebody_else_is_not_ours() {
        for (host, bound, ours) in [
            ("127.0.0.1:4000", LOOPBACK, true),
            ("127.0.0.1", LOOPBACK, true),
            ("localhost:1", LOOPBACK, true),
            ("LocalHost:1", ANY, true),
            ("[::1]:4000", LOOPBACK, true),
            ("192.168.1.5:4000", ANY, true),
            ("192.168.1.5:4000", LOOPBACK, false),
            ("evil.example:4000", LOOPBACK, false),
            ("evil.example", ANY, false),
            ("127.0.0.1.evil.example", LOOPBACK, false),
            ("localhost.evil.example", LOOPBACK, false),
            ("user@evil.example", LOOPBACK, false),
            ("", LOOPBACK, false),
        ] {
            assert_eq!(is_ours(host, bound), ours, "{host} at {bound}");
        }
    }

    #[test]
    fn scrapers_and_probes_of_a_network_may_use_any_name() {
        for (path, bound, open) in [
            ("/metrics", ANY, true),
            ("/healthz", ANY, true),
            ("/metrics", LOOPBACK, false),
            ("/healthz", LOOPBACK, false),
            ("/", ANY, false),
            ("/events", ANY, false),
            ("/api/snapshot", ANY, false),
            ("/api/stop", ANY, false),
            ("/metrics/", ANY, false),
        ] {
            assert_eq!(is_open(path, bound), open, "{path} at {bound}");
        }
    }

    #[test]
    fn another_sites_page_is_refused_and_a_program_is_not() {
        let allowed = |headers: &[(&'static str, &str)]| {
            let mut map = HeaderMap::new();
            map.append("host", "127.0.0.1:4000".parse().unwrap());
            for (name, value) in headers {
                map.append(*name, value.parse().unwrap());
            }
            objection(&map, LOOPBACK).is_none()
        };
        assert!(allowed(&[]));
        assert!(allowed(&[("origin", "http://127.0.0.1:4000"), ("sec-fetch-site", "same-origin")]));
        assert!(allowed(&[("sec-fetch-site", "none")]));
        for refused in [
            ("origin", "http://evil.example"),
            ("origin", "http://127.0.0.1:4001"),
            ("origin", "https://127.0.0.1:4000"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("host", "127.0.0.1:4000"),
        ] {
            assert!(!allowed(&[refused]), "{refused:?}");
        }
    }
}
