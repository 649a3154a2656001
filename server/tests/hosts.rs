//! Limits per host when many pages are fetched, and pauses that a host requests.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use common::gate::ALLOW_LOCAL_FETCH;
use common::{Server, folder, visitor};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

/// Statistics of a host.
#[derive(Default)]
struct Host {
    running: AtomicU32,
    most: AtomicU32,
    asked: AtomicU32,
}

/// Starts a host with slow pages, which requests a pause with its fifth response.
async fn start(host: &Arc<Host>) -> String {
    let host = Arc::clone(host);
    let page = move || {
        let host = Arc::clone(&host);
        async move {
            let asked = host.asked.fetch_add(1, Ordering::SeqCst) + 1;
            host.most.fetch_max(host.running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            sleep(Duration::from_millis(50)).await;
            host.running.fetch_sub(1, Ordering::SeqCst);
            match asked {
                5 => (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "2")]).into_response(),
                _ => "a page".into_response(),
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/{page}", get(page))).await });
    format!("http://{address}")
}

async fn get_json(client: &Client, url: &str) -> Value {
    client.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

#[tokio::test]
async fn pages_of_a_busy_host_wait_outside_of_their_time_limit_and_pause_when_it_asks_for_that() {
    let folder = folder();
    let server = Server::start_with(folder.path(), ALLOW_LOCAL_FETCH);
    let client = visitor();
    let host = Arc::new(Host::default());
    let site = start(&host).await;
    let urls: Vec<String> = (0..100).map(|page| format!("{site}/{page}")).collect();
    // All pages together take 2.5 s plus the pause of 2 s. The timeout of each is 2 s.
    let body = json!({"work": {"kind": "fetch", "urls": urls, "per_host": 2}, "timeout_ms": 2_000});
    let before = Instant::now();
    let launched = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
    let launched: Value = launched.json().await.expect("JSON");
    let id = launched["id"].as_str().expect("an id");
    let (mut waits, mut paused) = (Vec::new(), false);
    let watching = async {
        loop {
            let batch = get_json(&client, &server.at(&format!("/api/batches/{id}"))).await;
            if batch["status"] == "finished" {
                return batch;
            }
            for column in 0..10 {
                let square = get_json(&client, &server.at(&format!("/api/batches/{id}/squares/9/{column}"))).await;
                if square["waiting"]["for"] == "key" {
                    paused |= square["waiting"]["until"].is_string();
                    waits.push(square["waiting"]["text"].to_string());
                }
            }
        }
    };
    let batch = timeout(common::TEST_TIMEOUT, watching).await.expect("it comes to its finish line");
    assert_eq!((&batch["done"], &batch["failed"]), (&json!(100), &json!(0)));
    assert_eq!(host.most.load(Ordering::SeqCst), 2);
    assert_eq!(host.asked.load(Ordering::SeqCst), 101, "one page was asked for twice");
    assert!(before.elapsed() >= Duration::from_secs(4), "it paused");
    assert!(waits.iter().any(|text| text.contains("2 tasks for 127.0.0.1 run")), "{waits:?}");
    assert!(paused, "{waits:?}");
}
