//! From where a request comes.
//!
//! A browser tells the origin of the page that makes a request, and that cannot be forged by the page. What changes
//! something, or opens a channel, has to come from this site's own pages; programs that are no browsers send no origin.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use thiserror::Error;

use crate::problem::Problem;

/// A text that is no origin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("an origin is a scheme and a host, such as https://quilt.example, not '{0}'")]
pub(crate) struct InvalidOrigin(String);

/// Tells this site's own origin from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OwnOrigin {
    /// The host that the request was sent to, whatever the scheme: a proxy may have ended the encryption.
    HostHeader,
    /// This one.
    Fixed(String),
}

/// Where a request says that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    /// A page of this site.
    Own,
    /// A page of another site.
    Foreign,
    /// Not from a page.
    Unknown,
}

impl OwnOrigin {
    pub(crate) fn new(origin: Option<&str>) -> Result<Self, InvalidOrigin> {
        let Some(origin) = origin else { return Ok(Self::HostHeader) };
        let origin = origin.trim_end_matches('/');
        match authority(origin) {
            Some(_) => Ok(Self::Fixed(origin.to_ascii_lowercase())),
            None => Err(InvalidOrigin(origin.into())),
        }
    }

    /// Whether visitors reach this site over an encrypted connection, as far as is known.
    pub(crate) fn is_secure(&self) -> bool {
        matches!(self, Self::Fixed(origin) if origin.starts_with("https:"))
    }

    pub(crate) fn sender(&self, headers: &HeaderMap) -> Sender {
        let Some(origin) = headers.get(ORIGIN) else { return Sender::Unknown };
        let origin = origin.to_str().unwrap_or_default();
        let is_own = match self {
            Self::Fixed(own) => origin.eq_ignore_ascii_case(own),
            Self::HostHeader => {
                let host = headers.get(HOST).and_then(|host| host.to_str().ok());
                authority(origin).zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
            }
        };
        if is_own { Sender::Own } else { Sender::Foreign }
    }
}

/// The host and port of an origin, which has nothing behind them.
fn authority(origin: &str) -> Option<String> {
    let uri: Uri = origin.parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let is_bare = uri.path_and_query().is_none_or(|path| path == "/");
    let authority = uri.authority().filter(|_| is_http && is_bare)?;
    Some(authority.as_str().to_ascii_lowercase())
}

/// Refuses what other sites' pages ask this server to change.
pub(crate) async fn refuse_foreign_changes(
    State(own): State<Arc<OwnOrigin>>,
    request: Request,
    next: Next,
) -> Response {
    if !request.method().is_safe() && own.sender(request.headers()) == Sender::Foreign {
        return Problem::foreign_origin().into_response();
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(own: &OwnOrigin, origin: Option<&str>) -> Sender {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "quilt.example:3000".parse().expect("valid"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("valid"));
        }
        own.sender(&headers)
    }

    #[test]
    fn the_host_that_was_asked_is_the_own_origin() {
        let own = OwnOrigin::new(None).expect("nothing to be wrong");
        assert_eq!(sender(&own, None), Sender::Unknown);
        assert_eq!(sender(&own, Some("http://quilt.example:3000")), Sender::Own);
        assert_eq!(sender(&own, Some("https://QUILT.example:3000")), Sender::Own);
        for foreign in [
            "null",
            "",
            "http://quilt.example",
            "http://quilt.example:3000.evil.example",
            "http://evil.example",
            "quilt.example:3000",
            "file:///",
        ] {
            assert_eq!(sender(&own, Some(foreign)), Sender::Foreign, "{foreign}");
        }
    }

    #[test]
    fn a_fixed_origin_is_the_only_own_one() {
        let own = OwnOrigin::new(Some("https://Quilt.example/")).expect("an origin");
        assert!(own.is_secure());
        assert_eq!(sender(&own, Some("https://quilt.example")), Sender::Own);
        assert_eq!(sender(&own, Some("http://quilt.example")), Sender::Foreign);
        for wrong in ["quilt.example", "ftp://quilt.example", "https://quilt.example/path", ""] {
            assert!(OwnOrigin::new(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
