//! Access control of requests, and the security headers of every answer.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, AUTHORIZATION,
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
    VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use super::config::WebConfig;
use super::problem::Problem;
use super::server::Peer;
use crate::settings::Secret;

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");

/// Headers in which a proxy says where the page is mounted.
const BASE_HEADERS: [&str; 2] = ["x-ingress-path", "x-forwarded-prefix"];

/// The page loads nothing but its own parts, and no script or style stands in it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors ";

/// Name and password that a client must know.
pub(super) struct Credentials {
    name: String,
    password: Secret,
}

impl Credentials {
    pub(super) fn new(name: String, password: Secret) -> Self {
        Self { name, password }
    }

    /// Returns whether the header has them. The time that this takes does not depend on what is
    /// right about it, but for its length.
    fn are_in(&self, headers: &HeaderMap) -> bool {
        let expected = format!("{}:{}", self.name, self.password.expose());
        let given = headers
            .get(AUTHORIZATION)
            .and_then(|value| value.as_bytes().split_first_chunk::<6>())
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"Basic "))
            .and_then(|(_, encoded)| BASE64_STANDARD.decode(encoded).ok());
        given.is_some_and(|given| given.ct_eq(expected.as_bytes()).into())
    }
}

/// Access rules of the configuration.
pub(super) struct Guard {
    hosts: Vec<String>,
    credentials: Option<Credentials>,
    trusted_proxy: Vec<IpAddr>,
    origins: Vec<String>,
}

/// Path below which a trusted proxy shows the page, without a slash at its end.
#[derive(Debug, Clone, Default)]
pub(super) struct Base(pub(super) String);

impl Guard {
    pub(super) fn new(config: &WebConfig, credentials: Option<Credentials>) -> Self {
        Self {
            hosts: config.hosts.clone(),
            credentials,
            trusted_proxy: config.trusted_proxy.clone(),
            origins: config.origins.clone(),
        }
    }

    /// The answer to a request that must not be answered otherwise.
    fn refusal(&self, request: &Request, trusted: bool) -> Option<Response> {
        if !trusted && !self.knows_host(request.headers()) {
            let detail = "this name is not known here; ask by address, or add the name to `hosts` \
                          of the web sink";
            return Some(Problem::new(StatusCode::FORBIDDEN, detail).into_response());
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD work");
            return Some(([(ALLOW, "GET, HEAD")], problem).into_response());
        }
        let open = matches!(request.uri().path(), "/healthz" | "/readyz");
        match &self.credentials {
            Some(credentials) if !open && !trusted && !credentials.are_in(request.headers()) => {
                let ask = r#"Basic realm="energi-gateway", charset="UTF-8""#;
                let problem = Problem::new(StatusCode::UNAUTHORIZED, "user name and password");
                Some(([(WWW_AUTHENTICATE, ask)], problem).into_response())
            }
            _ => None,
        }
    }

    /// Returns whether a browser was not lured here by a name that somebody else points at this
    /// machine (DNS rebinding).
    fn knows_host(&self, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
        let Ok(host) = host.to_str() else { return false };
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let name = name.trim_end_matches('.');
        bare.parse::<IpAddr>().is_ok()
            || name.eq_ignore_ascii_case("localhost")
            || self.hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// The origin to be allowed, where the configuration lists the one that asks.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(ORIGIN)?;
        let listed = self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes());
        listed.then(|| origin.clone())
    }
}

/// The base path that a trusted proxy names, if it is one.
fn base(headers: &HeaderMap) -> Base {
    let named = BASE_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let path = named.unwrap_or_default().trim_end_matches('/');
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let is_path = path.starts_with('/') && !path.contains("//") && !path.contains("..");
    Base(if is_path && path.bytes().all(is_safe) { path.to_owned() } else { String::new() })
}

/// Lets a request through, or not, and marks the answer.
pub(super) async fn check(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0);
    let trusted = peer.is_some_and(|peer| guard.trusted_proxy.contains(&peer));
    let allowed = guard.allowed_origin(request.headers());
    let base = if trusted { base(request.headers()) } else { Base::default() };
    request.extensions_mut().insert(base);
    let mut response = match guard.refusal(&request, trusted) {
        None => next.run(request).await,
        Some(refusal) => refusal,
    };
    let headers = response.headers_mut();
    let ancestors = if trusted { "'self'" } else { "'none'" };
    if let Ok(policy) = HeaderValue::try_from(format!("{POLICY}{ancestors}")) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let policy = if allowed.is_some() { "cross-origin" } else { "same-origin" };
    headers.insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static(policy));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Link"));
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn a_host_is_an_address_localhost_or_listed() {
        let config = WebConfig { hosts: vec!["energy.home".to_owned()], ..WebConfig::default() };
        let guard = Guard::new(&config, None);
        for (host, known) in [
            ("127.0.0.1:8088", true),
            ("[::1]:8088", true),
            ("[fe80::1]", true),
            ("localhost", true),
            ("LOCALHOST.:8088", true),
            ("Energy.home:8088", true),
            ("evil.example", false),
            ("energy.home.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(guard.knows_host(&headers("host", host)), known, "{host}");
        }
        assert!(!guard.knows_host(&HeaderMap::new()));
    }

    #[test]
    fn a_base_path_is_only_a_path() {
        for (given, path) in [
            ("/api/hassio_ingress/a-B_1", "/api/hassio_ingress/a-B_1"),
            ("/energy/", "/energy"),
            ("//evil.example", ""),
            ("/a\"><script>", ""),
            ("/../x", ""),
            ("https://evil.example", ""),
        ] {
            assert_eq!(base(&headers("x-forwarded-prefix", given)).0, path, "{given}");
        }
    }

    #[test]
    fn a_password_is_compared_whole() {
        let credentials = Credentials::new("me".to_owned(), "secret".to_owned().into());
        for (given, right) in [
            ("me:secret", true),
            ("me:secre", false),
            ("me:secrets", false),
            ("you:secret", false),
            ("", false),
        ] {
            let header = format!("basic {}", BASE64_STANDARD.encode(given));
            assert_eq!(credentials.are_in(&headers("authorization", &header)), right, "{given}");
        }
    }
}
