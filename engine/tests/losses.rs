//! A task that takes down whoever runs it, on a simulated clock.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod memory;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use engine::embedded::MemoryQueue;
use engine::queue::{Claim, ClaimId, LapId, Lease};
use engine::work::{AsyncWork, Registry, Task, TaskError, Work};
use engine::{Announcement, Engine, Node, Queue, Settings};
use quilt::{BatchId, BatchSpec, Color, Grid, Index, OwnerId, SquareState, Status};
use tokio::time::timeout;

use crate::memory::MemoryJournal;

const DEADLY: Index = Index(1_234);

/// Work of which one task takes its worker with it.
struct Deadly;

#[async_trait]
impl AsyncWork for Deadly {
    async fn run(&self, task: Task) -> Result<Color, TaskError> {
        if task.index == DEADLY {
            std::future::pending::<()>().await;
        }
        Ok(Color::from_rgb(task.index.0))
    }
}

/// A queue that does not hear of workers once they have taken something.
#[derive(Default)]
struct Deaf(MemoryQueue);

#[async_trait]
impl Queue for Deaf {
    async fn push(&self, lease: Lease, delay: Duration) {
        self.0.push(lease, delay).await;
    }

    async fn pull(&self) -> Claim {
        self.0.pull().await
    }

    async fn extend(&self, _: ClaimId) {}

    async fn split(&self, claim: ClaimId, tail: Lease) {
        self.0.split(claim, tail).await;
    }

    async fn finish(&self, claim: ClaimId) {
        self.0.finish(claim).await;
    }

    async fn keep(&self, lap: LapId) -> bool {
        self.0.keep(lap).await
    }

    async fn start(&self, lap: LapId, lease: Lease) {
        self.0.start(lap, lease).await;
    }

    async fn end(&self, lap: LapId) {
        self.0.end(lap).await;
    }

    async fn announce(&self, announcement: &Announcement) {
        self.0.announce(announcement).await;
    }

    fn colleagues(&self) -> Vec<Announcement> {
        self.0.colleagues()
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_workers_are_lost_again_and_again_fails_alone() {
    let defaults = Settings::default();
    let settings = Settings { node: Node { slots: 40, ..defaults.node.clone() }, ..defaults };
    let registry = Registry::default().with("deadly", |_| Ok(Work::waiting(Deadly)));
    let engine = Engine::start(Arc::new(MemoryJournal::default()), Arc::new(Deaf::default()), registry, settings);
    let engine = engine.await.expect("it starts");
    let work = serde_json::from_str(r#"{"kind": "deadly"}"#).expect("a work spec");
    // No attempt is over before its time.
    let spec = BatchSpec { timeout_ms: 3_600_000, ..BatchSpec::new(work, Grid::new(64, 64).expect("a grid"), 11) };
    let id = BatchId::from_bytes([1; 16]);
    engine.launch(id, OwnerId::from_bytes([1; 16]), spec).await.expect("accepted");
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    // Half of what is left is lost each time.
    let finished = timeout(Duration::from_secs(600), batch.wait_until(|quilt| quilt.status() == Status::Finished));
    finished.await.expect("it gets away from the deadly task");
    let quilt = batch.folded().quilt.clone();
    assert_eq!((quilt.progress().done, quilt.progress().failed), (4_095, 1));
    let SquareState::Failed(reason) = quilt.square(DEADLY) else { panic!("it cannot be done") };
    assert!(reason.ends_with("workers were lost while they ran it"), "{reason}");
}
