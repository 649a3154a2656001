//! Requests to servers that are slow or hostile, or whose responses are redirects, malformed, compressed or very large.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod common;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use bytes::Bytes;
use common::{TEST_TIMEOUT, build, prepare, record, task};
use engine::work::{AsyncWork, Done, KeyLimits, Retry, TaskError};
use kinds::fetch::{FetchKind, FetchPolicy};
use quilt::Index;
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

/// Allows only the loopback address at which the test servers listen.
fn kind() -> FetchKind {
    FetchKind::new(FetchPolicy { allowed_networks: vec!["127.0.0.1/32".parse().expect("a network")] })
}

async fn work(kind: &FetchKind, parameters: &Value) -> Arc<dyn AsyncWork> {
    build(kind, prepare(kind, parameters, None).await.expect("valid"))
}

async fn fetch_with(mut parameters: Value, url: &str) -> Result<Done, TaskError> {
    parameters["urls"] = json!([url]);
    work(&kind(), &parameters).await.run(task(0)).await
}

async fn fetch(url: &str) -> Result<Done, TaskError> {
    fetch_with(json!({}), url).await
}

fn error_record(error: TaskError) -> Map<String, Value> {
    record(error.detail.map(|detail| *detail))
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Sends the same bytes on every connection.
fn serve_raw(response: Vec<u8>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(&response);
        }
    });
    address
}

#[tokio::test]
async fn record_describes_page_and_redirects() {
    let page = "<title>Hello</title><a href=1>1</a><a href=2>2</a>";
    let router = Router::new()
        .route("/page", get(move || async move { Html(page) }))
        .route("/", get(|| async { Redirect::permanent("/hop") }))
        .route("/hop", get(|| async { Redirect::temporary("page") }));
    let address = serve(router).await;
    let record = record(fetch(&format!("http://{address}/")).await.expect("succeeds").detail);
    assert_eq!(record["final_url"], format!("http://{address}/page"));
    for (name, value) in [
        ("status", json!(200)),
        ("redirects", json!(2)),
        ("title", json!("Hello")),
        ("links", json!(2)),
        ("bytes", json!(page.len())),
        ("type", json!("text/html; charset=utf-8")),
    ] {
        assert_eq!(record[name], value, "{name}");
    }
    assert!(!record.contains_key("error"));
}

#[tokio::test]
async fn only_transient_statuses_are_retried() {
    let respond = |status: u16, headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.to_owned(), *value)).collect::<Vec<_>>();
        get(move || async move {
            let mut response = StatusCode::from_u16(status).expect("a status").into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().expect("a value"));
            }
            response
        })
    };
    let router = Router::new()
        .route("/404", respond(404, &[]))
        .route("/500", respond(500, &[]))
        .route("/503", respond(503, &[("retry-after", "7")]))
        .route("/429", respond(429, &[("retry-after", "99999")]))
        .route("/304", respond(304, &[]));
    let address = serve(router).await;
    let after = |seconds| Retry::After(Duration::from_secs(seconds));
    for (path, retry, class) in [
        ("404", Retry::Never, "4xx"),
        ("500", Retry::Soon, "5xx"),
        ("503", after(7), "5xx"),
        ("429", after(600), "429"),
        ("304", Retry::Never, "3xx"),
    ] {
        let error = fetch(&format!("http://{address}/{path}")).await.expect_err(path);
        assert!(error.message.starts_with(path), "{error}");
        assert_eq!(error.retry, retry, "{path}");
        let record = error_record(error);
        assert_eq!((&record["error"], record["status"].to_string().as_str()), (&json!(class), path));
    }
}

#[tokio::test]
async fn redirects_are_limited_and_checked() {
    let hop = |Path(number): Path<u32>| async move { Redirect::to(&format!("/{}", number + 1)) };
    let router = Router::new()
        .route("/{number}", get(hop))
        .route("/to/file", get(|| async { Redirect::to("file:///etc/passwd") }))
        .route("/to/user", get(|| async { Redirect::to("http://me:secret@127.0.0.1/") }));
    let address = serve(router).await;
    let error =
        fetch_with(json!({"redirects": 3}), &format!("http://{address}/0")).await.expect_err("redirects forever");
    assert_eq!((&*error.message, error.retry), ("more than 3 redirects", Retry::Never));
    assert_eq!(error_record(error)["redirects"], 3);
    for (path, reason) in [("file", "not an http or https URL"), ("user", "must not contain a user name")] {
        let error = fetch(&format!("http://{address}/to/{path}")).await.expect_err(path);
        assert!(error.message.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn private_addresses_are_refused() {
    let targets = [
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://169.254.169.254/latest/",
        "http://10.0.0.1/",
        "http://[::ffff:7f00:2]/",
    ];
    let router = Router::new()
        .route("/{number}", get(move |Path(number): Path<usize>| async move { Redirect::to(targets[number]) }));
    let address = serve(router).await;
    for (number, target) in targets.iter().enumerate() {
        for url in [(*target).to_owned(), format!("http://{address}/{number}")] {
            let error = fetch(&url).await.expect_err(target);
            assert!(error.message.contains("is not a public address") && error.retry == Retry::Never, "{error}");
            assert_eq!(error_record(error)["error"], "refused");
        }
    }
    // Without allowed networks, a name that resolves to a loopback address is refused.
    let strict = FetchKind::new(FetchPolicy::default());
    let local = work(&strict, &json!({"urls": [format!("http://localhost:{}/0", address.port())]})).await;
    let error = local.run(task(0)).await.expect_err("a loopback address");
    assert!(error.message.starts_with("localhost (") && error.message.contains("is not a public address"), "{error}");
}

#[tokio::test]
async fn bodies_are_truncated_after_decompression() {
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        bomb.write_all(&[0; 1 << 20]).expect("memory");
    }
    let bomb = Bytes::from(bomb.finish().expect("memory"));
    let endless = || async {
        let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 8_192])));
        axum::body::Body::from_stream(pieces)
    };
    let packed = move || {
        let bomb = bomb.clone();
        async move { ([(header::CONTENT_ENCODING, "gzip")], bomb) }
    };
    let address = serve(Router::new().route("/endless", get(endless)).route("/bomb", get(packed))).await;
    for path in ["endless", "bomb"] {
        let done = fetch_with(json!({"max_bytes": 100_000}), &format!("http://{address}/{path}")).await;
        let record = record(done.expect("succeeds").detail);
        assert_eq!((&record["bytes"], &record["truncated"]), (&json!(100_000), &json!(true)), "{path}");
    }
}

#[tokio::test]
async fn malformed_responses_have_an_error_class() {
    for (response, class) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"[..], "body"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 7\r\n\r\nno gzip", "body"),
        (b"no HTTP at all\r\n\r\n", "http"),
        (b"", "http"),
    ] {
        let address = serve_raw(response.to_vec());
        let error = fetch(&format!("http://{address}/")).await.expect_err(class);
        let retry = error.retry;
        assert_eq!((&error_record(error)["error"], retry), (&json!(class), Retry::Never), "{response:?}");
    }
    // Bound, so that no other process gets the port, but not listening.
    let bound = TcpSocket::new_v4().expect("a socket");
    bound.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let closed = bound.local_addr().expect("bound");
    let error = fetch(&format!("http://{closed}/")).await.expect_err("connection refused");
    assert_eq!(error_record(error)["error"], "connect");
    // The server does not support TLS.
    let plain = serve(Router::new()).await;
    let error = fetch(&format!("https://{plain}/")).await.expect_err("no TLS");
    let class = error_record(error)["error"].clone();
    assert!(class == "tls" || class == "connect", "{class}");
}

#[tokio::test]
async fn a_host_is_the_key_of_the_tasks_that_ask_it_and_pauses_when_it_asks_for_that() {
    let urls = json!(["http://one.example/a", "http://one.example:8080/b", "http://other.example/"]);
    let work = work(&kind(), &json!({"urls": urls, "per_host": 3, "per_host_per_second": 2})).await;
    let keys = work.keys().expect("it has keys");
    assert_eq!(keys.limits(), KeyLimits { concurrency: 3, interval: Duration::from_millis(500) });
    let names: Vec<_> = (0..4).map(|index| keys.key(Index(index))).collect();
    let host = |name: &str| Some(name.into());
    assert_eq!(names, [host("one.example"), host("one.example"), host("other.example"), None]);

    let busy = || async { (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "7")]) };
    let address = serve(Router::new().route("/busy", get(busy))).await;
    let elsewhere = move || async move { Redirect::temporary(&format!("http://localhost:{}/busy", address.port())) };
    let redirecting = serve(Router::new().route("/", get(elsewhere))).await;
    let busy = timeout(TEST_TIMEOUT, fetch(&format!("http://{address}/busy"))).await.expect("it answers");
    let error = busy.expect_err("it is busy");
    assert_eq!(error.key_pause, Some(Duration::from_secs(7)));
    let error = fetch(&format!("http://{redirecting}/")).await.expect_err("the other one is busy");
    assert_eq!(error.key_pause, None, "its own host did not ask for it");
}

#[tokio::test]
async fn urls_from_parameter_file_and_sitemap_are_concatenated() {
    let index = "<sitemapindex><sitemap><loc>HOST/one.xml</loc></sitemap><sitemap><loc>HOST/two.xml</loc></sitemap></sitemapindex>";
    let one = "<urlset><url><loc>HOST/a</loc></url><url><loc>HOST/b?x=1&amp;y=2</loc></url></urlset>";
    let two = "<urlset><url><loc>HOST/c</loc></url></urlset>";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = format!("http://{}", listener.local_addr().expect("bound"));
    let at = |text: &str| {
        let text = text.replace("HOST", &host);
        get(move || async move { text })
    };
    let router = Router::new()
        .route("/sitemap.xml", at(index))
        .route("/one.xml", at(one))
        .route("/two.xml", at(two))
        .route("/no.xml", at("<html></html>"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let file = Bytes::from("# a comment\n\n https://example.org/file \n");
    let parameters = json!({"urls": ["http://example.org"], "sitemap": format!("{host}/sitemap.xml")});
    let launch = prepare(&kind(), &parameters, Some(file)).await.expect("valid");
    let expected = format!("http://example.org/\nhttps://example.org/file\n{host}/a\n{host}/b?x=1&y=2\n{host}/c\n");
    assert_eq!((launch.input, launch.tasks), (Some(expected.into()), Some(5)));
    let error = prepare(&kind(), &json!({"sitemap": format!("{host}/no.xml")}), None).await.expect_err("not a sitemap");
    assert!(error.contains("not a sitemap"), "{error}");
    let error = prepare(&kind(), &json!({"sitemap": "http://10.0.0.1/sitemap.xml"}), None)
        .await
        .expect_err("a private address");
    assert!(error.contains("not a public address"), "{error}");
}

#[tokio::test]
async fn invalid_urls_are_refused_with_their_line() {
    for (parameters, reason) in [
        (json!({}), "there is no URL"),
        (json!({"urls": []}), "there is no URL"),
        (json!({"urls": ["http://a/", "ftp://b/"]}), "line 2: 'ftp://b/' is not an http or https URL"),
        (json!({"urls": ["nonsense"]}), "line 1: 'nonsense' is not a URL"),
        (json!({"urls": ["http://me:secret@a/"]}), "must not contain a user name"),
        (json!({"urls": [format!("http://a/{}", "x".repeat(9_000))]}), "at most 8192 are allowed"),
        (json!({"urls": ["http://a/"], "per_host": 0}), "per_host must be"),
        (json!({"urls": ["http://a/"], "per_host_per_second": 0}), "per_host_per_second must be"),
        (json!({"urls": ["http://a/"], "redirects": 21}), "redirects must be"),
        (json!({"urls": ["http://a/"], "max_bytes": 0}), "max_bytes must be"),
        (json!({"urls": ["http://a/"], "depth": 2}), "depth"),
    ] {
        let error = prepare(&kind(), &parameters, None).await.expect_err(reason);
        assert!(error.contains(reason), "{error}");
    }
}
