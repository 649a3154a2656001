//! Serves the static files of the site.

use std::path::Path;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use site::{PKG, content_type, has_hash};

use crate::site_files::File;
use crate::state::AppState;

/// Serves a file of the site, or returns 404.
pub(crate) async fn file(State(state): State<AppState>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    find_file(&state, &head).await.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// Returns the response with the requested file; `None` if there is no such file, or the method is neither GET nor HEAD.
pub(crate) async fn find_file(state: &AppState, request: &Parts) -> Option<Response> {
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return None;
    }
    let path = request.uri.path().strip_prefix('/')?;
    match state.site.file(path).await {
        Ok(file) => Some(respond(path, file?, &request.headers)),
        Err(error) => {
            tracing::error!(path, %error, "cannot read a file of the site");
            Some(StatusCode::INTERNAL_SERVER_ERROR.into_response())
        }
    }
}

fn respond(path: &str, file: File, request: &HeaderMap) -> Response {
    // A weak ETag, because it is the same for the compressed and the uncompressed content.
    let tag = format!("W/\"{}\"", file.tag);
    let is_current = matches_etag(request, &tag);
    let (content, encoding) = match file.brotli.filter(|_| accepts_brotli(request)) {
        Some(brotli) => (brotli, Some("br")),
        None => (file.content, None),
    };
    let mut response =
        if is_current { StatusCode::NOT_MODIFIED.into_response() } else { Body::from(content).into_response() };
    let headers = response.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(ETAG, tag);
    }
    // Only names in this folder have a content hash; others may merely look as if they had one.
    if Path::new(path).starts_with(PKG) && has_hash(path) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    }
    if !is_current {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type(path)));
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
    }
    response
}

/// Whether `If-None-Match` contains the tag. Compares weakly.
fn matches_etag(request: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let listed = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|listed| listed.trim() == "*" || opaque(listed) == opaque(tag))
}

/// Whether `Accept-Encoding` allows brotli, by name or with `*`, with a quality above 0.
fn accepts_brotli(request: &HeaderMap) -> bool {
    let accepted = request.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut any = false;
    for accepted in accepted.flat_map(|value| value.split(',')) {
        let mut parts = accepted.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.trim().parse().ok()).unwrap_or(1.0);
        let is_accepted = quality > 0.0;
        if name.eq_ignore_ascii_case("br") {
            return is_accepted;
        }
        any |= name == "*" && is_accepted;
    }
    any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: axum::http::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn brotli_is_sent_to_those_who_can_read_it() {
        for accepted in ["br", "gzip, deflate, br", "gzip;q=1.0, BR;q=0.5", "*", "gzip, *;q=0.1"] {
            assert!(accepts_brotli(&with(ACCEPT_ENCODING, accepted)), "{accepted}");
        }
        for refused in ["", "gzip, deflate", "br;q=0", "br; q=0.0, *", "*;q=0", "brotli"] {
            assert!(!accepts_brotli(&with(ACCEPT_ENCODING, refused)), "{refused}");
        }
        assert!(!accepts_brotli(&HeaderMap::new()));
    }

    #[test]
    fn a_tag_is_found_in_whatever_form_it_comes_back() {
        let tag = "W/\"1f0c\"";
        for listed in ["W/\"1f0c\"", "\"1f0c\"", "\"other\", W/\"1f0c\"", "*"] {
            assert!(matches_etag(&with(IF_NONE_MATCH, listed), tag), "{listed}");
        }
        for listed in ["\"1f0\"", "1f0c", ""] {
            assert!(!matches_etag(&with(IF_NONE_MATCH, listed), tag), "{listed}");
        }
    }
}
