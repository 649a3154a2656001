//! Nodes of different versions on one NATS server.

use std::time::Duration;

use async_nats::Client;
use futures::StreamExt;
use quilt::{Event, Status};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use crate::nats::Nats;
use crate::shared::{engine, events, finished, spec};
use crate::{OWNER, PATIENCE, id};

/// The subject on which nodes publish their statuses.
const NODES: &str = "quilt.v2.nodes";

/// The protocol of the later version.
const LATER: u32 = 9;

/// What every version publishes of itself.
#[derive(Deserialize)]
struct Published {
    id: u128,
    protocol: u32,
}

/// A status of a node of a later version, with members that this version does not have.
fn foreign_status(number: u64) -> String {
    let node = json!({"name": "later", "version": "9.0.0", "slots": number});
    json!({"id": number, "protocol": LATER, "node": node, "mood": "good"}).to_string()
}

/// The ids of nodes of this version, as they publish them.
async fn own_nodes(client: &Client, count: usize) -> Vec<String> {
    let mut statuses = client.subscribe(NODES).await.expect("it answers");
    let mut ids: Vec<String> = Vec::new();
    let read = async {
        while ids.len() < count {
            let status = statuses.next().await.expect("nodes publish");
            let Published { id, protocol } = serde_json::from_slice(&status.payload).expect("JSON");
            let id = format!("{id:032x}");
            if protocol != LATER && !ids.contains(&id) {
                ids.push(id);
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.expect("each node publishes twice a second");
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_a_later_version_gets_no_work_and_disturbs_none() {
    let nats = Nats::start();
    let client = async_nats::connect(nats.url()).await.expect("it listens");
    let (one, other) = (engine(&nats, "one").await, engine(&nats, "other").await);
    let publisher = client.clone();
    let _foreign = AbortOnDropHandle::new(tokio::spawn(async move {
        for number in 0.. {
            publisher.publish(NODES, foreign_status(number).into()).await.expect("it is connected");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));
    let nodes = own_nodes(&client, 2).await;
    one.launch(id(1), OWNER, spec(16), None).await.expect("accepted");
    // Requests that this version cannot read, among them one for leases.
    for (node, request) in nodes.iter().zip([
        json!({"Exchange": {"from": "f".repeat(32), "number": 1, "wants": {"quantum": 1_000_000}}}),
        json!({"Teleport": {"lap": 1}}),
    ]) {
        let subject = format!("quilt.v2.node.{node}");
        let reply = client.request(subject, request.to_string().into()).await.expect("it answers");
        assert_eq!(serde_json::from_slice::<Value>(&reply.payload).expect("JSON"), json!("Ignored"));
    }
    let quilt = finished(&one, id(1)).await;
    assert_eq!((quilt.status(), quilt.progress().done), (Status::Finished, 256));
    assert_eq!(finished(&other, id(1)).await, quilt);
    let attempts = events(&nats, id(1)).await.into_iter().map(|event| match event {
        Event::Attempted { runs, .. } => runs.iter().map(|run| run.count).sum(),
        _ => 0,
    });
    assert_eq!(attempts.sum::<u32>(), 256);
}
