//! Names of files, and what follows from them.

use serde::{Deserialize, Serialize};

/// The folder of what is built, in the site folder and in addresses. It is the `site-pkg-dir` of cargo-leptos.
pub const PKG: &str = "pkg";

/// The shortest part of a file name that counts as a hash.
const MIN_HASH: usize = 8;

/// Where pages find the files that every one of them loads: paths in the site, without a slash in front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The script that loads the WebAssembly.
    pub js: String,
    /// The WebAssembly.
    pub wasm: String,
    /// The style.
    pub css: String,
}

impl Names {
    /// The names that one function gives to each extension, `js`, `wasm` and `css`.
    pub fn from_extensions(mut name: impl FnMut(&str) -> String) -> Self {
        Self { js: name("js"), wasm: name("wasm"), css: name("css") }
    }

    /// All of the names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [&self.js, &self.wasm, &self.css].into_iter().map(String::as_str)
    }
}

/// Whether the name of a file contains a hash of its content, as in `pkg/quilt.1f0c59a2b3d4e5f6.js`: the content at such an address
/// never changes.
#[must_use]
pub fn has_hash(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut parts = name.rsplit('.').skip(1);
    let Some(hash) = parts.next() else { return false };
    // A name such as `quilt.js` has nothing in front of what could be the hash.
    parts.next().is_some()
        && hash.len() >= MIN_HASH
        && hash.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        && hash.bytes().any(|byte| byte.is_ascii_digit())
}

/// The media type of a file, by its extension.
#[must_use]
pub fn content_type(path: &str) -> &'static str {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "ico" => "image/x-icon",
        "jpg" | "jpeg" => "image/jpeg",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_hash_is_recognized() {
        for name in ["pkg/quilt.1f0c59a2b3d4e5f6.js", "quilt.Xk3_v-9aQ2uB7cD1eF0gHi.wasm", "a.b.12345678.css"] {
            assert!(has_hash(name), "{name}");
        }
    }

    #[test]
    fn a_name_without_a_hash_is_recognized() {
        for name in [
            "pkg/quilt.js",
            "favicon.svg",
            "12345678.svg",
            "quilt.min.js",
            "quilt.production.js",
            "1f0c59a2b3d4e5f6/quilt.js",
            "quilt.1234567.js",
            "quilt.1f0c59a2 b3d4.js",
            "",
        ] {
            assert!(!has_hash(name), "{name}");
        }
    }

    #[test]
    fn what_browsers_are_strict_about_has_its_type() {
        assert_eq!(content_type("pkg/quilt.1f0c59a2b3d4e5f6.wasm"), "application/wasm");
        assert_eq!(content_type("pkg/quilt.js"), "text/javascript; charset=utf-8");
        assert_eq!(content_type("favicon.svg"), "image/svg+xml");
        assert_eq!(content_type("LICENSE"), "application/octet-stream");
    }
}
