//! Pages of a server that is slow, broken, redirecting, huge, compressed or lying.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use bytes::Bytes;
use common::{PATIENCE, build, prepare, record, task};
use engine::work::{AsyncWork, Done, Retry, TaskError};
use futures::future::join_all;
use kinds::fetch::{FetchKind, Policy};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::Barrier;

/// This machine may be asked, as far as it is at this address.
fn kind() -> FetchKind {
    FetchKind::new(Policy { allowed: vec!["127.0.0.1/32".parse().expect("a network")] })
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

fn details(error: TaskError) -> Map<String, Value> {
    record(error.detail.map(|detail| *detail))
}

async fn serve(router: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// Answers every connection with these bytes, whatever is asked.
fn serve_raw(answer: Vec<u8>) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(&answer);
        }
    });
    address
}

#[tokio::test]
async fn a_page_tells_its_title_its_links_and_where_it_was() {
    let page = "<title>Hello</title><a href=1>1</a><a href=2>2</a>";
    let router = Router::new()
        .route("/page", get(move || async move { Html(page) }))
        .route("/", get(|| async { Redirect::permanent("/hop") }))
        .route("/hop", get(|| async { Redirect::temporary("page") }));
    let address = serve(router).await;
    let record = record(fetch(&format!("http://{address}/")).await.expect("it answers").detail);
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
async fn only_what_may_pass_is_tried_again() {
    let answer = |status: u16, headers: &[(&'static str, &'static str)]| {
        let headers = headers.iter().map(|(name, value)| (name.to_owned(), *value)).collect::<Vec<_>>();
        get(move || async move {
            let mut answer = StatusCode::from_u16(status).expect("a status").into_response();
            for (name, value) in headers {
                answer.headers_mut().insert(name, value.parse().expect("a value"));
            }
            answer
        })
    };
    let router = Router::new()
        .route("/404", answer(404, &[]))
        .route("/500", answer(500, &[]))
        .route("/503", answer(503, &[("retry-after", "7")]))
        .route("/429", answer(429, &[("retry-after", "99999")]))
        .route("/304", answer(304, &[]));
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
        let record = details(error);
        assert_eq!((&record["error"], record["status"].to_string().as_str()), (&json!(class), path));
    }
}

#[tokio::test]
async fn redirections_end_somewhere() {
    let hop = |Path(number): Path<u32>| async move { Redirect::to(&format!("/{}", number + 1)) };
    let router = Router::new()
        .route("/{number}", get(hop))
        .route("/to/file", get(|| async { Redirect::to("file:///etc/passwd") }))
        .route("/to/user", get(|| async { Redirect::to("http://me:secret@127.0.0.1/") }));
    let address = serve(router).await;
    let error = fetch_with(json!({"redirects": 3}), &format!("http://{address}/0")).await.expect_err("it never ends");
    assert_eq!((&*error.message, error.retry), ("more than 3 redirections", Retry::Never));
    assert_eq!(details(error)["redirects"], 3);
    for (path, reason) in [("file", "no http or https"), ("user", "must not hold")] {
        let error = fetch(&format!("http://{address}/to/{path}")).await.expect_err(path);
        assert!(error.message.contains(reason), "{error}");
    }
}

#[tokio::test]
async fn nothing_leads_to_an_address_that_is_not_public() {
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
            assert!(error.message.contains("is not public") && error.retry == Retry::Never, "{error}");
            assert_eq!(details(error)["error"], "refused");
        }
    }
    // Without what the operator of this test allows, a name that leads here leads nowhere.
    let strict = FetchKind::new(Policy::default());
    let here = work(&strict, &json!({"urls": [format!("http://localhost:{}/0", address.port())]})).await;
    let error = here.run(task(0)).await.expect_err("it is this machine");
    assert!(error.message.starts_with("localhost is at ") && error.message.ends_with("is not public"), "{error}");
}

#[tokio::test]
async fn what_is_huge_is_cut_off_and_what_is_packed_is_unpacked_only_so_far() {
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
        let record = record(done.expect("it answers").detail);
        assert_eq!((&record["bytes"], &record["truncated"]), (&json!(100_000), &json!(true)), "{path}");
    }
}

#[tokio::test]
async fn answers_that_are_broken_are_told() {
    for (answer, class) in [
        (&b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"[..], "body"),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 7\r\n\r\nno gzip", "body"),
        (b"no HTTP at all\r\n\r\n", "http"),
        (b"", "http"),
    ] {
        let address = serve_raw(answer.to_vec());
        let error = fetch(&format!("http://{address}/")).await.expect_err(class);
        let retry = error.retry;
        assert_eq!((&details(error)["error"], retry), (&json!(class), Retry::Never), "{answer:?}");
    }
    // Held, so that nobody else gets the port, but nobody listens at it.
    let silent = TcpSocket::new_v4().expect("a socket");
    silent.bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    let nobody = silent.local_addr().expect("it is bound");
    let error = fetch(&format!("http://{nobody}/")).await.expect_err("nobody listens");
    assert_eq!(details(error)["error"], "connect");
    // No TLS is spoken there.
    let plain = serve(Router::new()).await;
    let error = fetch(&format!("https://{plain}/")).await.expect_err("it is plain");
    let class = details(error)["error"].clone();
    assert!(class == "tls" || class == "connect", "{class}");
}

#[tokio::test]
async fn a_host_is_asked_no_more_at_once_than_it_may_be() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entered, peak) = (Arc::clone(&now), Arc::clone(&most));
    // Nobody is answered before three have asked.
    let three = Arc::new(Barrier::new(3));
    let slow = move || async move {
        peak.fetch_max(entered.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        three.wait().await;
        entered.fetch_sub(1, Ordering::SeqCst);
    };
    let address = serve(Router::new().route("/{page}", get(slow))).await;
    let urls: Vec<String> = (0..24).map(|page| format!("http://{address}/{page}")).collect();
    let work = work(&kind(), &json!({"urls": urls, "per_host": 3})).await;
    let asking = join_all((0..24).map(|index| work.run(task(index))));
    let results = tokio::time::timeout(PATIENCE, asking).await.expect("three are asked at once");
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(most.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn lists_come_from_parameters_files_and_sitemaps() {
    let index = "<sitemapindex><sitemap><loc>HOST/one.xml</loc></sitemap><sitemap><loc>HOST/two.xml</loc></sitemap></sitemapindex>";
    let one = "<urlset><url><loc>HOST/a</loc></url><url><loc>HOST/b?x=1&amp;y=2</loc></url></urlset>";
    let two = "<urlset><url><loc>HOST/c</loc></url></urlset>";
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let host = format!("http://{}", listener.local_addr().expect("it is bound"));
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
    let error = prepare(&kind(), &json!({"sitemap": format!("{host}/no.xml")}), None).await.expect_err("it is none");
    assert!(error.contains("no sitemap"), "{error}");
    let error =
        prepare(&kind(), &json!({"sitemap": "http://10.0.0.1/sitemap.xml"}), None).await.expect_err("it is private");
    assert!(error.contains("not public"), "{error}");
}

#[tokio::test]
async fn what_cannot_be_fetched_is_refused_with_its_line() {
    for (parameters, reason) in [
        (json!({}), "there is no address"),
        (json!({"urls": []}), "there is no address"),
        (json!({"urls": ["http://a/", "ftp://b/"]}), "line 2: 'ftp://b/' is no http or https address"),
        (json!({"urls": ["nonsense"]}), "line 1: 'nonsense' is no address"),
        (json!({"urls": ["http://me:secret@a/"]}), "must not hold"),
        (json!({"urls": [format!("http://a/{}", "x".repeat(9_000))]}), "longer than 8192"),
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
