//! A site whose pages are blocked until the test releases them, which controls when the tasks that fetch them end.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::stream;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::Server;

/// The options with which a server may fetch the pages.
pub(crate) const ALLOW_LOCAL_FETCH: &[&str] = &["--fetch-allow", "127.0.0.1/32"];

/// How often a blocked page sends a byte, because a fetch fails if the server sends nothing for too long.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);

pub(crate) struct Gate {
    site: String,
    passes: Arc<Semaphore>,
}

impl Gate {
    pub(crate) async fn start() -> Self {
        let passes = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&passes);
        let page = move || std::future::ready(page(Arc::clone(&held)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let site = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, Router::new().route("/{number}", get(page))).await });
        Self { site, passes }
    }

    /// Releases the pages of this many tasks.
    pub(crate) fn let_through(&self, tasks: usize) {
        self.passes.add_permits(tasks);
    }

    /// Launches a batch whose tasks all fetch a blocked page at the same time.
    pub(crate) async fn launch(&self, client: &Client, server: &Server, tasks: u32) -> String {
        let urls: Vec<String> = (0..tasks).map(|number| format!("{}/{number}", self.site)).collect();
        let work = json!({"kind": "fetch", "urls": urls, "per_host": tasks});
        let body = json!({"work": work, "timeout_ms": super::FOREVER[0]});
        let response = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned()
    }
}

/// A body that ends once it has acquired a permit.
fn page(passes: Arc<Semaphore>) -> Body {
    Body::from_stream(stream::unfold(passes, |passes| async move {
        match timeout(KEEPALIVE_INTERVAL, Arc::clone(&passes).acquire_owned()).await {
            Ok(pass) => {
                pass.expect("it is never closed").forget();
                None
            }
            Err(_) => Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), passes)),
        }
    }))
}
