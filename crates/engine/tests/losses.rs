//! Workers that are lost, and a lease that is, on a simulated clock.

#![allow(clippy::expect_used, reason = "a test that cannot go on has failed")]

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::embedded::MemoryQueue;
use engine::queue::{Claim, ClaimId, LapId, Lease};
use engine::work::{AsyncWork, Done, Registry, Task, TaskError, Work};
use engine::{Announcement, Engine, JournalError, Node, Queue, Settings};
use quilt::{BatchId, BatchSpec, Color, Grid, Index, OwnerId, Quilt, SquareState, Status};
use tokio::time::timeout;

use crate::memory::MemoryJournal;

const DEADLY: Index = Index(1_234);

/// Work of which one task takes its worker with it.
struct Deadly;

#[async_trait]
impl AsyncWork for Deadly {
    async fn run(&self, task: Task) -> Result<Done, TaskError> {
        if task.index == DEADLY {
            std::future::pending::<()>().await;
        }
        Ok(Color::from_rgb(task.index.0).into())
    }
}

/// A queue that does not hear of workers once they have taken something, or loses the first tail that is cut off.
struct Faulty {
    queue: MemoryQueue,
    is_deaf: bool,
    loses_next: AtomicBool,
}

#[async_trait]
impl Queue for Faulty {
    async fn push(&self, lease: Lease, delay: Duration) {
        self.queue.push(lease, delay).await;
    }

    async fn pull(&self) -> Claim {
        self.queue.pull().await
    }

    async fn extend(&self, claim: ClaimId) {
        if !self.is_deaf {
            self.queue.extend(claim).await;
        }
    }

    async fn split(&self, claim: ClaimId, tail: Lease) {
        if !self.loses_next.swap(false, Ordering::Relaxed) {
            self.queue.split(claim, tail).await;
        }
    }

    async fn finish(&self, claim: ClaimId) {
        self.queue.finish(claim).await;
    }

    async fn is_idle(&self) -> Result<bool, JournalError> {
        self.queue.is_idle().await
    }

    async fn keep(&self, lap: LapId) -> Result<bool, JournalError> {
        self.queue.keep(lap).await
    }

    async fn unkept(&self, laps: Vec<LapId>) -> Result<Vec<LapId>, JournalError> {
        self.queue.unkept(laps).await
    }

    async fn start(&self, lap: LapId, lease: Lease) {
        self.queue.start(lap, lease).await;
    }

    async fn let_go(&self, lap: LapId) {
        self.queue.let_go(lap).await;
    }

    async fn announce(&self, announcement: &Announcement) {
        self.queue.announce(announcement).await;
    }

    fn colleagues(&self) -> Vec<Announcement> {
        self.queue.colleagues()
    }
}

/// Runs a batch to its finish line.
async fn run(queue: Faulty, work: &str) -> Quilt {
    let defaults = Settings::default();
    let settings = Settings { node: Node { slots: 40, ..defaults.node.clone() }, ..defaults };
    let registry = Registry::default().with_work("deadly", || Work::waiting(Deadly));
    let engine = Engine::start(Arc::new(MemoryJournal::default()), Arc::new(queue), registry, settings);
    let engine = engine.await.expect("it starts");
    let work = serde_json::from_str(work).expect("a work spec");
    // No attempt is over before its time.
    let spec = BatchSpec { timeout_ms: 3_600_000, ..BatchSpec::new(work, Grid::new(64, 64).expect("a grid"), 11) };
    let id = BatchId::from_bytes([1; 16]);
    engine.launch(id, OwnerId::from_bytes([1; 16]), spec, None).await.expect("accepted");
    let batch = engine.open(id).await.expect("it answers").expect("it is there");
    let finished = timeout(Duration::from_secs(600), batch.wait_until(|quilt| quilt.status() == Status::Finished));
    finished.await.expect("it comes to its finish line");
    batch.folded().quilt.clone()
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_workers_are_lost_again_and_again_fails_alone() {
    // Half of what is left is lost each time.
    let queue = Faulty { queue: MemoryQueue::default(), is_deaf: true, loses_next: AtomicBool::new(false) };
    let quilt = run(queue, r#"{"kind": "deadly"}"#).await;
    assert_eq!((quilt.progress().done, quilt.progress().failed), (4_095, 1));
    let SquareState::Failed(reason) = quilt.square(DEADLY) else { panic!("it cannot be done") };
    assert_eq!(reason, "workers were lost");
}

#[tokio::test(start_paused = true)]
async fn a_lap_whose_lease_is_lost_is_started_again() {
    let queue = Faulty { queue: MemoryQueue::default(), is_deaf: false, loses_next: AtomicBool::new(true) };
    let quilt = run(queue, r#"{"kind": "color", "duration_ms": [10, 20]}"#).await;
    assert_eq!(quilt.progress().done, 4_096);
}
