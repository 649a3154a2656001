//! Static files: names, caching and compression.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Server, command, folder};
use reqwest::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, SET_COOKIE, VARY,
};
use reqwest::{Client, Method, Response, StatusCode};
use tempfile::TempDir;

const JS: &str = "pkg/quilt.1f0c59a2b3d4e5f6.js";
const WASM: &str = "pkg/quilt.2a0c59a2b3d4e5f6.wasm";
const CSS: &str = "pkg/quilt.3b0c59a2b3d4e5f6.css";
const FOR_EVER: &str = "public, max-age=31536000, immutable";

/// A site in a folder, with a server for it.
struct Site {
    folder: TempDir,
    _data: TempDir,
    server: Server,
}

impl Site {
    fn start() -> Self {
        let (folder, data) = (folder(), folder());
        let script = "export default function init() {}\n".repeat(100);
        for (path, content) in [
            (JS, script.as_str()),
            (WASM, "\0asm"),
            (CSS, "main {}"),
            ("hash.txt", "js: 1f0c59a2b3d4e5f6\nwasm: 2a0c59a2b3d4e5f6\ncss: 3b0c59a2b3d4e5f6\n"),
            ("favicon.svg", "<svg/>"),
            ("robots.txt", "User-agent: *\n"),
        ] {
            write(&folder.path().join(path), content);
        }
        // Last, because a compressed file that is older than the original is ignored.
        write(&folder.path().join(format!("{JS}.br")), "what brotli made");
        let server = Server::start_with(data.path(), &["--site", folder.path().to_str().expect("text")]);
        Self { folder, _data: data, server }
    }

    async fn get(&self, path: &str, headers: &[(reqwest::header::HeaderName, &str)]) -> Response {
        ask(&self.server, Method::GET, path, headers).await
    }
}

fn write(path: &Path, content: &str) {
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, content).expect("a file");
}

async fn ask(server: &Server, method: Method, path: &str, headers: &[(reqwest::header::HeaderName, &str)]) -> Response {
    // The test reads the response before decompression.
    kinds::fetch::install_tls();
    let client = Client::builder().no_brotli().no_gzip().no_deflate().build().expect("a client");
    let mut request = client.request(method, server.at(&format!("/{path}")));
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().await.expect("an answer")
}

fn header(response: &Response, name: reqwest::header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_file_with_a_hash_is_kept_for_ever_and_others_are_asked_for_again() {
    let site = Site::start();
    for (path, content_type) in
        [(JS, "text/javascript; charset=utf-8"), (WASM, "application/wasm"), (CSS, "text/css; charset=utf-8")]
    {
        let response = site.get(path, &[]).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&response, CACHE_CONTROL), FOR_EVER, "{path}");
        assert_eq!(header(&response, CONTENT_TYPE), content_type, "{path}");
        assert_eq!(header(&response, SET_COOKIE), "", "{path} needs no session");
    }
    for path in ["favicon.svg", "robots.txt"] {
        let response = site.get(path, &[]).await;
        assert_eq!(header(&response, CACHE_CONTROL), "no-cache", "{path}");
        let tag = header(&response, ETAG).to_owned();
        let again = site.get(path, &[(IF_NONE_MATCH, &tag)]).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(header(&again, ETAG), tag);
        assert_eq!(header(&again, VARY), "accept-encoding");
        write(&site.folder.path().join(path), "something longer than it was before");
        let changed = site.get(path, &[(IF_NONE_MATCH, &tag)]).await;
        assert_eq!(changed.status(), StatusCode::OK, "{path}");
        assert_eq!(changed.text().await.expect("text"), "something longer than it was before");
    }
}

#[tokio::test]
async fn what_was_compressed_is_sent_to_those_who_can_read_it() {
    let site = Site::start();
    let brotli = site.get(JS, &[(ACCEPT_ENCODING, "gzip, br")]).await;
    assert_eq!((header(&brotli, CONTENT_ENCODING), header(&brotli, VARY)), ("br", "accept-encoding"));
    assert_eq!(brotli.text().await.expect("text"), "what brotli made");

    let gzip = site.get(JS, &[(ACCEPT_ENCODING, "gzip")]).await;
    assert_eq!((header(&gzip, CONTENT_ENCODING), header(&gzip, VARY)), ("gzip", "accept-encoding"));
    assert!(gzip.bytes().await.expect("bytes").starts_with(&[0x1f, 0x8b]));

    for refused in ["identity", "br;q=0"] {
        let plain = site.get(JS, &[(ACCEPT_ENCODING, refused)]).await;
        assert_eq!((header(&plain, CONTENT_ENCODING), header(&plain, VARY)), ("", "accept-encoding"), "{refused}");
        assert!(plain.text().await.expect("text").starts_with("export default"), "{refused}");
    }

    // Pages are compressed for each response.
    let page = site.get("", &[(ACCEPT_ENCODING, "gzip, br")]).await;
    assert_eq!((header(&page, CONTENT_ENCODING), header(&page, VARY)), ("br", "accept-encoding"));
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let site = Site::start();
    for (path, accepted) in [(JS, "br"), (WASM, "identity"), ("favicon.svg", "identity")] {
        let (get, head) = (
            site.get(path, &[(ACCEPT_ENCODING, accepted)]).await,
            ask(&site.server, Method::HEAD, path, &[(ACCEPT_ENCODING, accepted)]).await,
        );
        assert_eq!(head.status(), StatusCode::OK, "{path}");
        for name in [CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, VARY, reqwest::header::CONTENT_LENGTH] {
            assert_eq!(header(&head, name.clone()), header(&get, name.clone()), "{name} of {path}");
        }
        assert!(head.bytes().await.expect("nothing").is_empty());
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let site = Site::start();
    let file = site.get("pkg/quilt.0000000000000000.js", &[]).await;
    assert_eq!(file.status(), StatusCode::NOT_FOUND);
    assert_ne!(header(&file, CACHE_CONTROL), FOR_EVER);
    let page = site.get("nowhere", &[]).await;
    assert_eq!(page.status(), StatusCode::NOT_FOUND);
    assert!(header(&page, CONTENT_TYPE).starts_with("text/html"));
    assert!(page.text().await.expect("text").contains(&format!("/{CSS}")), "that page has its style as well");
    let posted = ask(&site.server, Method::POST, JS, &[]).await;
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_page_names_the_files_with_their_hashes() {
    let site = Site::start();
    let page = site.get("", &[]).await.text().await.expect("text");
    assert!(page.contains(&format!("<link rel=\"stylesheet\" href=\"/{CSS}\"")), "{page}");
    let preload = page.split("<link").find(|link| link.contains("modulepreload")).expect("the script is loaded early");
    assert!(preload.contains(&format!("href=\"/{JS}\"")), "{preload}");
    assert!(!preload.contains("crossorigin"), "{preload}");
    let preload = page.split("<link").find(|link| link.contains("as=\"fetch\"")).expect("the module is loaded early");
    assert!(preload.contains(&format!("href=\"/{WASM}\"")), "{preload}");
    assert!(preload.contains("crossorigin=\"anonymous\""), "{preload}");
    let script = page.split("<script").find(|script| script.contains("type=\"module\"")).expect("a script");
    assert!(script.contains(&format!("(\"/{JS}\",\"/{WASM}\")")), "{script}");
    assert!(script.contains("nonce="), "{script}");
}

#[tokio::test]
async fn without_a_site_the_pages_come_alone_and_the_log_says_why() {
    let (data, empty) = (folder(), folder());
    let server = Server::start_with(data.path(), &["--site", empty.path().to_str().expect("text")]);
    let response = ask(&server, Method::GET, "", &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    let page = response.text().await.expect("text");
    assert!(!page.contains("/pkg/"), "{page}");
    let (_, log) = server.stop();
    assert!(log.contains("there is no site in this folder"), "{log}");
}

#[tokio::test]
async fn cargo_leptos_is_followed_while_it_watches() {
    let (data, site) = (folder(), folder());
    for (path, content) in [(JS, "script"), (WASM, "module"), (CSS, "style")] {
        write(&site.path().join(path), content);
    }
    let hashes = site.path().join("hash.txt");
    write(&hashes, "js: 1f0c59a2b3d4e5f6\nwasm: 2a0c59a2b3d4e5f6\ncss: 3b0c59a2b3d4e5f6\n");
    let mut command = command();
    command.env("LEPTOS_SITE_ROOT", site.path()).env("LEPTOS_HASH_FILE_NAME", &hashes).env("LEPTOS_WATCH", "true");
    let server = Server::start_by(command, data.path(), &[]);
    let page = ask(&server, Method::GET, "", &[]).await.text().await.expect("text");
    assert!(page.contains("href=\"/pkg/quilt.css\""), "the names stay the same: {page}");
    let style = ask(&server, Method::GET, "pkg/quilt.css", &[]).await;
    assert_eq!(header(&style, CACHE_CONTROL), "no-cache");
    assert_eq!(style.text().await.expect("text"), "style");
    // It rebuilds without hashes.
    write(&site.path().join("pkg/quilt.css"), "new style");
    let style = ask(&server, Method::GET, "pkg/quilt.css", &[]).await;
    assert_eq!(style.text().await.expect("text"), "new style");
}

/// Needs a binary with an embedded site: `make test-binary` builds it and sets `QUILT_BINARY`.
#[tokio::test]
#[ignore = "needs a binary with its site; run by 'make test-binary'"]
async fn a_binary_that_was_copied_into_an_empty_folder_serves_the_whole_page() {
    let binary = std::env::var_os("QUILT_BINARY").expect("the binary in QUILT_BINARY");
    let (here, data) = (folder(), folder());
    let copy = here.path().join("quilt");
    std::fs::copy(binary, &copy).expect("the binary can be copied");
    let mut command = Command::new(copy);
    command.current_dir(here.path());
    let server = Server::start_by(command, data.path(), &[]);
    let page = ask(&server, Method::GET, "", &[]).await.text().await.expect("text");
    let files: Vec<&str> = page.split('"').filter_map(|part| part.strip_prefix("/pkg/")).collect();
    for extension in ["js", "wasm", "css"] {
        let file = files.iter().find(|file| file.ends_with(extension)).expect("the page names it");
        let path = format!("pkg/{file}");
        let brotli = ask(&server, Method::GET, &path, &[(ACCEPT_ENCODING, "br")]).await;
        assert_eq!(brotli.status(), StatusCode::OK, "{path}");
        assert_eq!(header(&brotli, CONTENT_ENCODING), "br", "{path}");
        assert_eq!(header(&brotli, CACHE_CONTROL), FOR_EVER, "{path}");
        assert_eq!(header(&brotli, VARY), "accept-encoding", "{path}");
        let plain = ask(&server, Method::GET, &path, &[]).await;
        let (plain, brotli) = (plain.bytes().await.expect("bytes"), brotli.bytes().await.expect("bytes"));
        assert!(brotli.len() < plain.len(), "{path}: {} of {}", brotli.len(), plain.len());
    }
    let icon = ask(&server, Method::GET, "favicon.svg", &[]).await;
    assert_eq!((icon.status(), header(&icon, CONTENT_TYPE)), (StatusCode::OK, "image/svg+xml"));
    let tag = header(&icon, ETAG).to_owned();
    assert_eq!(
        ask(&server, Method::GET, "favicon.svg", &[(IF_NONE_MATCH, &tag)]).await.status(),
        StatusCode::NOT_MODIFIED
    );
}
