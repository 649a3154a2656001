//! A site whose pages come when the test lets them, so that the tasks that fetch them end one by one.

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

/// What lets a server fetch the pages.
pub(crate) const MAY_FETCH: &[&str] = &["--fetch-allow", "127.0.0.1/32"];

/// How often a page that is held sends something: a fetch gives up a server that is silent.
const BREATH: Duration = Duration::from_secs(5);

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

    /// Lets so many tasks end.
    pub(crate) fn let_through(&self, tasks: usize) {
        self.passes.add_permits(tasks);
    }

    /// Launches a batch of tasks that wait here, all at the same time.
    pub(crate) async fn launch(&self, client: &Client, server: &Server, tasks: u32) -> String {
        let urls: Vec<String> = (0..tasks).map(|number| format!("{}/{number}", self.site)).collect();
        let work = json!({"kind": "fetch", "urls": urls, "per_host": tasks});
        let body = json!({"work": work, "timeout_ms": super::FOREVER[0]});
        let response = client.post(server.at("/api/batches")).json(&body).send().await.expect("an answer");
        assert_eq!(response.status(), 201);
        response.json::<Value>().await.expect("JSON")["id"].as_str().expect("an id").to_owned()
    }
}

/// A page that ends when it has a pass.
fn page(passes: Arc<Semaphore>) -> Body {
    Body::from_stream(stream::unfold(passes, |passes| async move {
        match timeout(BREATH, Arc::clone(&passes).acquire_owned()).await {
            Ok(pass) => {
                pass.expect("it is never closed").forget();
                None
            }
            Err(_) => Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), passes)),
        }
    }))
}
