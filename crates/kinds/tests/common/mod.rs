//! Helpers for tests of asynchronous kinds.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use engine::work::{AsyncWork, Detail, Kind, Launch, Task, Work};
use quilt::{BatchSpec, Grid, Index, WorkSpec};
use serde_json::{Map, Value};

/// A generous timeout for slow machines. A test that reaches it has failed.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(180);

pub(crate) async fn prepare(kind: &impl Kind, parameters: &Value, upload: Option<Bytes>) -> Result<Launch, String> {
    let parameters = parameters.as_object().expect("an object").clone();
    kind.prepare(WorkSpec { kind: kind.name().into(), parameters }, upload).await
}

pub(crate) fn build(kind: &impl Kind, launch: Launch) -> Arc<dyn AsyncWork> {
    let grid = Grid::near_square(launch.tasks.expect("the kind counts tasks")).expect("at least one");
    match kind.build(&BatchSpec::new(launch.work, grid, 1), launch.input).expect("valid") {
        Work::Async(work) => work,
        Work::Blocking(_) => panic!("asynchronous work"),
    }
}

pub(crate) fn task(index: u32) -> Task {
    Task { index: Index(index), seed: 1, lap: 1, attempt: 1, lease: Default::default() }
}

pub(crate) fn record(detail: Option<Detail>) -> Map<String, Value> {
    match detail {
        Some(Detail::Record(record)) => record,
        other => panic!("{other:?} is not a record"),
    }
}
