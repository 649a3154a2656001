//! Sessions: a signed cookie with the visitor's id.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::SET_COOKIE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::SignedCookieJar;
use axum_extra::extract::cookie::{Cookie, Key, SameSite};
use hmac::{Hmac, Mac};
use quilt::{BatchId, OwnerId};
use sha2::Sha256;
use thiserror::Error;

use crate::problem::Problem;
use crate::state::AppState;

const COOKIE: &str = "quilt_session";

/// The lifetime of the cookie, from the first visit.
const MAX_AGE: time::Duration = time::Duration::days(365);

/// The size of the key in bytes: one half for signing, the other for encryption, which is unused.
const KEY_BYTES: usize = 64;

/// Why the session key cannot be loaded.
#[derive(Debug, Error)]
pub(crate) enum KeyError {
    #[error("cannot use the session key {path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("the session key that the nodes share has {found} bytes instead of {KEY_BYTES}")]
    SharedSize { found: usize },
    #[error(
        "the session key {path} has {found} bytes instead of {KEY_BYTES}; remove it to have a new one made, which ends all sessions"
    )]
    Size { path: PathBuf, found: usize },
}

/// Loads the key. Creates the file with mode 0600 if it does not exist.
pub(crate) fn load_key(path: &Path) -> Result<Key, KeyError> {
    let io = |source| KeyError::Io { path: path.into(), source };
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => make_key(path).map_err(io)?,
        Err(error) => return Err(io(error)),
    };
    if bytes.len() == KEY_BYTES {
        Ok(Key::from(&bytes))
    } else {
        Err(KeyError::Size { path: path.into(), found: bytes.len() })
    }
}

/// The key that all nodes of a cluster share.
pub(crate) fn shared_key(bytes: &[u8]) -> Result<Key, KeyError> {
    if bytes.len() == KEY_BYTES { Ok(Key::from(bytes)) } else { Err(KeyError::SharedSize { found: bytes.len() }) }
}

/// Generates a key.
pub(crate) fn fresh_key() -> [u8; KEY_BYTES] {
    rand::random()
}

fn make_key(path: &Path) -> std::io::Result<Vec<u8>> {
    let key = fresh_key();
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(&key)?;
    file.sync_all()?;
    Ok(key.to_vec())
}

/// Middleware that adds the visitor's [`OwnerId`] as an extension to the request, and sets the cookie of new visitors.
pub(crate) async fn session_layer(
    State(state): State<AppState>,
    jar: SignedCookieJar,
    mut request: Request,
    next: Next,
) -> Response {
    let known: Option<OwnerId> = jar.get(COOKIE).and_then(|cookie| cookie.value().parse().ok());
    let visitor = known.unwrap_or_else(|| OwnerId::from_bytes(rand::random()));
    request.extensions_mut().insert(visitor);
    let response = next.run(request).await;
    // Read-only visitors of a tool's server need no cookie, and browsers would send it to all servers on this machine, whatever their port.
    if known.is_some() || state.sole_owner.is_some() {
        return response;
    }
    let cookie = Cookie::build((COOKIE, visitor.to_string()))
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(state.origin.is_secure())
        .max_age(MAX_AGE)
        .path("/");
    (jar.add(cookie), response).into_response()
}

/// Returns the `Cookie` header of a visitor.
pub(crate) fn cookie_of(key: &Key, visitor: OwnerId) -> String {
    let jar = SignedCookieJar::new(key.clone()).add(Cookie::new(COOKIE, visitor.to_string()));
    let response = jar.into_response();
    let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// Middleware that refuses unsafe methods to everybody but the sole owner, if this server has one.
pub(crate) async fn require_owner(
    State(state): State<AppState>,
    Extension(visitor): Extension<OwnerId>,
    request: Request,
    next: Next,
) -> Response {
    if state.sole_owner.is_some_and(|owner| owner != visitor) && !request.method().is_safe() {
        let detail = "only the user who has started this server may change something here";
        return Problem::new(StatusCode::FORBIDDEN, "not-your-server", detail).into_response();
    }
    next.run(request).await
}

/// Derives id and seed of the batch from a visitor's `Idempotency-Key`. Other visitors cannot predict them.
pub(crate) fn keyed_launch(key: &Key, visitor: OwnerId, idempotency_key: &str) -> (BatchId, u64) {
    // Never fails: HMAC accepts keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.signing()) else { return fresh_launch() };
    mac.update(b"idempotency-key");
    mac.update(visitor.as_bytes());
    mac.update(idempotency_key.as_bytes());
    let digest = u128_pair(mac.finalize().into_bytes().into());
    (BatchId::from_bytes(digest.0.to_be_bytes()), digest.1 as u64)
}

/// Generates id and seed of a batch for a launch without `Idempotency-Key`.
pub(crate) fn fresh_launch() -> (BatchId, u64) {
    (BatchId::from_bytes(rand::random()), rand::random())
}

fn u128_pair(bytes: [u8; 32]) -> (u128, u128) {
    let half =
        |start: usize| bytes.iter().skip(start).take(16).fold(0_u128, |value, byte| value << 8 | u128::from(*byte));
    (half(0), half(16))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_created_once_and_then_loaded() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("session.key");
        let made = load_key(&path).expect("can be made");
        assert_eq!(load_key(&path).expect("can be read").master(), made.master());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        std::fs::write(&path, "short").expect("writable");
        assert!(matches!(load_key(&path), Err(KeyError::Size { found: 5, .. })));
    }

    #[test]
    fn idempotency_key_identifies_one_batch_per_visitor() {
        let key = Key::generate();
        let (one, other) = (OwnerId::from_bytes([1; 16]), OwnerId::from_bytes([2; 16]));
        assert_eq!(keyed_launch(&key, one, "a"), keyed_launch(&key, one, "a"));
        assert_ne!(keyed_launch(&key, one, "a"), keyed_launch(&key, one, "b"));
        assert_ne!(keyed_launch(&key, one, "a"), keyed_launch(&key, other, "a"));
    }
}
