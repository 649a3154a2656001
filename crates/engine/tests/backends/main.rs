//! What each backend has to do, written once and run against all of them.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod cluster;
mod connect;
mod damage;
mod feed;
mod journal;
mod leaders;
#[path = "../nats/mod.rs"]
mod nats;
mod outage;
mod shared;
mod versions;

use std::sync::Arc;
use std::time::Duration;

use engine::Journal;
use engine::embedded::SqliteJournal;
use engine::jetstream::{JetStream, Options};
use nats::Nats;
use quilt::{BatchId, BatchSpec, Grid, Launched, OwnerId, Timestamp};
use tempfile::TempDir;

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);
const STRANGER: OwnerId = OwnerId::from_bytes([2; 16]);

/// How long a test waits for something before it has failed. Nothing that goes well takes nearly as long, on whatever machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A backend, fresh.
struct Backend {
    journal: Arc<dyn Journal>,
    /// What has to outlive it.
    _under: (Option<TempDir>, Option<Nats>),
}

fn embedded() -> Backend {
    let folder = TempDir::new().expect("a folder");
    let journal = SqliteJournal::open(&folder.path().join("quilt.db")).expect("a fresh file");
    Backend { journal: Arc::new(journal), _under: (Some(folder), None) }
}

async fn connect(nats: &Nats) -> JetStream {
    let options = Options { servers: nats.url(), replicas: 1, name: "test".into(), ..Options::default() };
    Box::pin(JetStream::connect(&options)).await.expect("it will do")
}

async fn jetstream() -> Backend {
    let nats = Nats::start();
    let connected = connect(&nats).await;
    Backend { journal: Arc::new(connected.journal()), _under: (None, Some(nats)) }
}

fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

fn launched(at: u64) -> Launched {
    let work = serde_json::from_str(r#"{"kind": "color"}"#).expect("a work spec");
    let spec = BatchSpec::new(work, Grid::new(8, 8).expect("a small grid"), 7);
    Launched::new(spec, Timestamp(at))
}

/// Makes a test of each of these functions for each backend.
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
