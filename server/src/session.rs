//! Who asks: a signed cookie that names the visitor, and no more.

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

/// How long a browser keeps its session after the visit in which it was made: a year.
const MAX_AGE: time::Duration = time::Duration::days(365);

/// The size of the key in bytes: half of it signs, half of it would encrypt.
const KEY_BYTES: usize = 64;

/// Why the key of the sessions cannot be used.
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

/// The key from the file, which is made at the first start, and can be read by its owner alone.
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

/// The key that all nodes have.
pub(crate) fn shared_key(bytes: &[u8]) -> Result<Key, KeyError> {
    if bytes.len() == KEY_BYTES { Ok(Key::from(bytes)) } else { Err(KeyError::SharedSize { found: bytes.len() }) }
}

/// What a key is made of.
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

/// Finds the visitor, or makes one, and hands the [`OwnerId`] on with the request.
pub(crate) async fn find_visitor(
    State(state): State<AppState>,
    jar: SignedCookieJar,
    mut request: Request,
    next: Next,
) -> Response {
    let known: Option<OwnerId> = jar.get(COOKIE).and_then(|cookie| cookie.value().parse().ok());
    let visitor = known.unwrap_or_else(|| OwnerId::from_bytes(rand::random()));
    request.extensions_mut().insert(visitor);
    let response = next.run(request).await;
    // Whoever only looks at a tool's server needs none, and a browser would take it for that of other servers on this machine.
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

/// The cookie of a visitor, as a client sends it.
pub(crate) fn cookie_of(key: &Key, visitor: OwnerId) -> String {
    let jar = SignedCookieJar::new(key.clone()).add(Cookie::new(COOKIE, visitor.to_string()));
    let response = jar.into_response();
    let cookie = response.headers().get(SET_COOKIE).and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    cookie.split(';').next().unwrap_or_default().to_owned()
}

/// A layer that lets nobody but the owner of this server change anything, where it has one.
pub(crate) async fn refuse_strangers(
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

/// What a visitor's Idempotency-Key stands for: always the same batch, whose id and seed nobody else can guess.
pub(crate) fn keyed_launch(key: &Key, visitor: OwnerId, idempotency_key: &str) -> (BatchId, u64) {
    // A MAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.signing()) else { return fresh_launch() };
    mac.update(b"idempotency-key");
    mac.update(visitor.as_bytes());
    mac.update(idempotency_key.as_bytes());
    let digest = u128_pair(mac.finalize().into_bytes().into());
    (BatchId::from_bytes(digest.0.to_be_bytes()), digest.1 as u64)
}

/// An id and a seed for a launch without a key.
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
    fn a_key_is_made_once_and_read_from_then_on() {
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
    fn an_idempotency_key_stands_for_one_batch_of_one_visitor() {
        let key = Key::generate();
        let (one, other) = (OwnerId::from_bytes([1; 16]), OwnerId::from_bytes([2; 16]));
        assert_eq!(keyed_launch(&key, one, "a"), keyed_launch(&key, one, "a"));
        assert_ne!(keyed_launch(&key, one, "a"), keyed_launch(&key, one, "b"));
        assert_ne!(keyed_launch(&key, one, "a"), keyed_launch(&key, other, "a"));
    }
}
