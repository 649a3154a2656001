//! The files that the browser loads: those that the binary was linked with, or those in a folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, VARY,
};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use site::{Bundle, BundleError, Folder, HASH_FILE, Names, PKG, content_type, has_hash};

use crate::pages;
use crate::routes::AppState;

/// What the files are called, up to their hash and extension. It is the `output-name` of cargo-leptos.
pub(crate) const OUTPUT_NAME: &str = "quilt";

/// Where `cargo xtask site` and cargo-leptos build the site, in the folder of the project.
const BUILT: &str = "target/site";

/// The files that the binary was linked with.
static EMBEDDED: OnceLock<Bundle<'static>> = OnceLock::new();

/// Takes the files that the binary was linked with. Nothing at all stands for no site.
pub(crate) fn embed(bundle: &'static [u8]) -> Result<(), BundleError> {
    if let Some(bundle) = Bundle::read(bundle)? {
        let _ = EMBEDDED.set(bundle);
    }
    Ok(())
}

/// Where the files come from.
#[derive(Debug, Clone)]
pub(crate) enum Site {
    /// The binary has them.
    Embedded(&'static Bundle<'static>),
    /// They are read from a folder each time. Pages link to the names that it had at the start.
    Folder(Folder),
    /// There are none.
    Missing,
}

/// A file, ready to be sent.
struct File {
    tag: String,
    content: Bytes,
    brotli: Option<Bytes>,
}

impl Site {
    /// The site in the folder that was asked for; else the one that cargo-leptos has built for this process; else the one in the binary.
    pub(crate) fn find(folder: Option<PathBuf>) -> Self {
        if let Some(folder) = folder.or_else(|| std::env::var_os("LEPTOS_SITE_ROOT").map(PathBuf::from)) {
            return Self::folder(&folder);
        }
        match EMBEDDED.get() {
            Some(bundle) => Self::Embedded(bundle),
            None => Self::Missing,
        }
    }

    fn folder(folder: &Path) -> Self {
        // cargo-leptos names the hashes beside the binary.
        let hash_file = std::env::var_os("LEPTOS_HASH_FILE_NAME").unwrap_or_else(|| HASH_FILE.into());
        let program = std::env::current_exe().ok();
        let beside = program.as_deref().and_then(Path::parent).map(|folder| folder.join(hash_file));
        Self::Folder(Folder::new(folder, OUTPUT_NAME, beside.into_iter().collect()))
    }

    /// What pages load, if there is all of it. Logs where it is not.
    pub(crate) fn names(&self) -> Option<Names> {
        match self {
            Self::Embedded(bundle) => Some(bundle.names().clone()),
            // The page then stays the same while its files are built again, and cargo-leptos finds the style to replace.
            Self::Folder(folder) if is_watched() => Some(folder.plain_names()),
            Self::Folder(folder) => {
                let names = folder.names();
                if names.is_none() {
                    tracing::warn!(
                        site = %folder.root().display(),
                        "there is no site in this folder, so pages have no style and no live updates; 'make serve' builds it"
                    );
                }
                names
            }
            Self::Missing => {
                tracing::warn!(
                    "this program was built without the site, so pages have no style and no live updates; 'make serve' or 'make build' \
                     builds both, and --site FOLDER takes a site from a folder"
                );
                None
            }
        }
    }

    /// The folder of the site, for Leptos.
    pub(crate) fn root(&self) -> &Path {
        match self {
            Self::Folder(folder) => folder.root(),
            Self::Embedded(_) | Self::Missing => Path::new(BUILT),
        }
    }

    async fn file(&self, path: &str) -> Result<Option<File>, std::io::Error> {
        match self {
            Self::Embedded(bundle) => Ok(bundle.file(path).map(|file| File {
                tag: file.hash.to_owned(),
                content: Bytes::from_static(file.content),
                brotli: file.brotli.map(Bytes::from_static),
            })),
            Self::Folder(folder) => {
                let (folder, path) = (folder.clone(), path.to_owned());
                let file = tokio::task::spawn_blocking(move || folder.file(&path)).await??;
                Ok(file.map(|file| File {
                    tag: file.tag,
                    content: file.content.into(),
                    brotli: file.brotli.map(Bytes::from),
                }))
            }
            Self::Missing => Ok(None),
        }
    }
}

/// Whether cargo-leptos builds the site again at every change.
pub(crate) fn is_watched() -> bool {
    std::env::var_os("LEPTOS_WATCH").is_some()
}

/// Answers with a file of the site, or with 404.
pub(crate) async fn file(State(state): State<AppState>, request: Request) -> Response {
    let (head, _) = request.into_parts();
    find_file(&state, &head).await.unwrap_or_else(|| StatusCode::NOT_FOUND.into_response())
}

/// Answers with a file of the site, or with the page for addresses that lead nowhere.
pub(crate) async fn file_or_page(State(state): State<AppState>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    match find_file(&state, &head).await {
        Some(response) => response,
        None => pages::not_found(&state, Request::from_parts(head, body)).await,
    }
}

async fn find_file(state: &AppState, request: &Parts) -> Option<Response> {
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
    // Weak, because it stands for the content however it is compressed.
    let tag = format!("W/\"{}\"", file.tag);
    let is_current = is_listed(request, &tag);
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
    // A name elsewhere may look as if it had one.
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

/// Whether the browser has what this tag stands for.
fn is_listed(request: &HeaderMap, tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let listed = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|listed| listed.trim() == "*" || opaque(listed) == opaque(tag))
}

/// Whether the browser can read brotli: it names it, or everything, and does not rule it out.
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
            assert!(is_listed(&with(IF_NONE_MATCH, listed), tag), "{listed}");
        }
        for listed in ["\"1f0\"", "1f0c", ""] {
            assert!(!is_listed(&with(IF_NONE_MATCH, listed), tag), "{listed}");
        }
    }
}
