//! What each side of a seam has to do, written once and run against all of them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod connect;
mod damage;
mod journal;
#[path = "../nats/mod.rs"]
mod nats;
mod queue;
mod shared;

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::embedded::{MemoryQueue, SqliteJournal};
use engine::jetstream::{JetStream, Options};
use engine::{Journal, Queue};
use nats::Nats;
use quilt::{BatchId, BatchSpec, Grid, Launched, OwnerId, Timestamp};
use tempfile::TempDir;

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);
const STRANGER: OwnerId = OwnerId::from_bytes([2; 16]);

/// How long a test waits for something before it has failed. Nothing that goes well takes nearly as long, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A side of both seams, fresh.
struct Side {
    journal: Arc<dyn Journal>,
    queue: Arc<dyn Queue>,
    /// What has to outlive them.
    _under: (Option<TempDir>, Option<Nats>),
}

fn embedded() -> Side {
    let folder = TempDir::new().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a fresh file");
    Side { journal: Arc::new(journal), queue: Arc::new(MemoryQueue::default()), _under: (Some(folder), None) }
}

async fn connect(nats: &Nats) -> JetStream {
    let options = Options { servers: nats.url(), replicas: 1, name: "test".into(), ..Options::default() };
    Box::pin(JetStream::connect(&options)).await.expect("it will do")
}

async fn jetstream() -> Side {
    let nats = Nats::start();
    let connected = connect(&nats).await;
    let (journal, queue) = (connected.journal(), connected.queue());
    Side { journal: Arc::new(journal), queue: Arc::new(queue), _under: (None, Some(nats)) }
}

/// Waits until a queue holds nothing any more: no lease that waits, is put off, or is claimed.
async fn until_idle(queue: &dyn Queue) {
    let started = Instant::now();
    while !queue.is_idle().await.expect("it answers") {
        assert!(started.elapsed() < PATIENCE, "there still is a lease");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

fn launched(at: u64) -> Launched {
    let work = serde_json::from_str(r#"{"kind": "color"}"#).expect("a work spec");
    let spec = BatchSpec::new(work, Grid::new(8, 8).expect("a small grid"), 7);
    Launched::new(spec, Timestamp(at))
}

/// Makes a test of each of these functions for each side.
macro_rules! on_all_sides {
    ($($test:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&crate::embedded()).await;
            })+
        }
        mod jetstream {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() {
                super::$test(&crate::jetstream().await).await;
            })+
        }
    };
}
use on_all_sides;
