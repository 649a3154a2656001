//! Protection against cross-site request forgery.
//!
//! Browsers send the origin of the page in the `Origin` header, which the page cannot forge. Requests that change something and WebSocket
//! handshakes must have the same origin. Clients other than browsers usually send no `Origin`.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::problem::Problem;

/// The configured origin is invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an origin is a scheme and a host, such as https://quilt.example, not '{0}'")]
pub(crate) struct InvalidOrigin(String);

/// The origins that may send requests other than GET and HEAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AllowedOrigins {
    /// The host in the request's `Host` header, with http or https: a proxy may have terminated TLS.
    HostHeader,
    /// One configured origin.
    Fixed(String),
}

/// The result of the check of the `Origin` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestOrigin {
    SameOrigin,
    CrossOrigin,
    /// The request has no `Origin` header.
    Missing,
}

impl AllowedOrigins {
    pub(crate) fn new(origin: Option<&str>) -> Result<Self, InvalidOrigin> {
        let Some(origin) = origin else { return Ok(Self::HostHeader) };
        let origin = origin.trim_end_matches('/');
        match authority(origin) {
            Some(_) => Ok(Self::Fixed(origin.to_ascii_lowercase())),
            None => Err(InvalidOrigin(origin.into())),
        }
    }

    /// The configured origin.
    pub(crate) fn fixed(&self) -> Option<&str> {
        match self {
            Self::HostHeader => None,
            Self::Fixed(origin) => Some(origin),
        }
    }

    /// Whether clients are known to use https.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Fixed(origin) if origin.starts_with("https:"))
    }

    pub(crate) fn classify(&self, headers: &HeaderMap) -> RequestOrigin {
        let Some(origin) = headers.get(ORIGIN) else { return RequestOrigin::Missing };
        let origin = origin.to_str().unwrap_or_default();
        let is_same = match self {
            Self::Fixed(allowed) => origin.eq_ignore_ascii_case(allowed),
            Self::HostHeader => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                authority(origin).zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
        };
        if is_same { RequestOrigin::SameOrigin } else { RequestOrigin::CrossOrigin }
    }
}

/// Returns the lowercase host and port of an http or https origin; `None` if it has a path.
fn authority(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_bare = uri.path_and_query().is_none_or(|path| path == "/");
    let authority = uri.authority().filter(|_| is_http && is_bare)?;
    Some(authority.as_str().to_ascii_lowercase())
}

/// Middleware that refuses cross-origin requests with unsafe methods.
pub(crate) async fn csrf_guard(State(allowed): State<Arc<AllowedOrigins>>, request: Request, next: Next) -> Response {
    if !request.method().is_safe() && allowed.classify(request.headers()) == RequestOrigin::CrossOrigin {
        return Problem::foreign_origin().into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(allowed: &AllowedOrigins, origin: Option<&str>) -> RequestOrigin {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "quilt.example:3000".parse().expect("valid"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("valid"));
        }
        allowed.classify(&headers)
    }

    #[test]
    fn host_header_is_the_same_origin() {
        let allowed = AllowedOrigins::new(None).expect("valid");
        assert_eq!(classify(&allowed, None), RequestOrigin::Missing);
        assert_eq!(classify(&allowed, Some("http://quilt.example:3000")), RequestOrigin::SameOrigin);
        assert_eq!(classify(&allowed, Some("https://QUILT.example:3000")), RequestOrigin::SameOrigin);
        for other in [
            "null",
            "",
            "http://quilt.example",
            "http://quilt.example:3000.evil.example",
            "http://evil.example",
            "quilt.example:3000",
            "file:///",
        ] {
            assert_eq!(classify(&allowed, Some(other)), RequestOrigin::CrossOrigin, "{other}");
        }
    }

    #[test]
    fn only_the_fixed_origin_is_allowed() {
        let allowed = AllowedOrigins::new(Some("https://Quilt.example/")).expect("an origin");
        assert!(allowed.is_secure());
        assert_eq!(classify(&allowed, Some("https://quilt.example")), RequestOrigin::SameOrigin);
        assert_eq!(classify(&allowed, Some("http://quilt.example")), RequestOrigin::CrossOrigin);
        for wrong in ["quilt.example", "ftp://quilt.example", "https://quilt.example/path", ""] {
            assert!(AllowedOrigins::new(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
