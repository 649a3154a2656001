//! What nodes tell each other, on a subject that nobody stores.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::stores::NODES_SUBJECT;
use super::trouble::in_time;
use crate::colleagues::Announcement;

/// How long a node may be silent before it is taken for lost.
const SILENCE: Duration = Duration::from_secs(6);

/// What other nodes said last, and when that was, by their ids.
type Heard = Arc<Mutex<HashMap<String, (Announcement, Instant)>>>;

/// The other nodes.
pub(super) struct Nodes {
    /// Tells apart nodes that have the same name by mistake.
    id: String,
    heard: Heard,
    _listener: AbortOnDropHandle<()>,
}

#[derive(Serialize, Deserialize)]
struct Told {
    id: String,
    announcement: Announcement,
}

impl Nodes {
    /// Begins to listen to the others.
    pub(super) fn new(client: Client, id: &str) -> Self {
        let heard = Heard::default();
        let listener = tokio::spawn(listen(client, id.into(), Arc::clone(&heard)));
        Self { id: id.into(), heard, _listener: AbortOnDropHandle::new(listener) }
    }

    /// Tells the others, in a message of `largest` bytes at most.
    pub(super) async fn tell(&self, client: &Client, announcement: &Announcement, largest: usize) {
        let mut told = Told { id: self.id.clone(), announcement: announcement.clone() };
        let payload = loop {
            let Ok(payload) = serde_json::to_vec(&told) else { return };
            if payload.len() <= largest {
                break payload;
            }
            // Half of what it does is still better than nothing.
            let half = told.announcement.busy.len() / 2;
            told.announcement.busy.truncate(half);
        };
        if let Err(error) = in_time(client.publish(NODES_SUBJECT, payload.into())).await {
            tracing::debug!(%error, "the other nodes are not told of this one");
        }
    }

    /// What the others said last, without those that are lost.
    pub(super) fn heard(&self) -> Vec<Announcement> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.retain(|_, (_, at)| at.elapsed() < SILENCE);
        heard.values().map(|(announcement, _)| announcement.clone()).collect()
    }
}

async fn listen(client: Client, own: String, heard: Heard) {
    // It is subscribed anew by itself when the connection is.
    let Ok(mut messages) = client.subscribe(NODES_SUBJECT).await else { return };
    while let Some(message) = messages.next().await {
        match serde_json::from_slice::<Told>(&message.payload) {
            Ok(Told { id, .. }) if id == own => {}
            Ok(Told { id, announcement }) => {
                let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.insert(id, (announcement, Instant::now()));
            }
            Err(error) => tracing::debug!(%error, "a node says what cannot be read"),
        }
    }
}
