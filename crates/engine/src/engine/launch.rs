//! Launches batches.

use std::time::Duration;

use api::LaunchRequest;
use bytes::Bytes;
use quilt::wire::{MAX_SPEC, spec_bytes};
use quilt::{BatchId, BatchSpec, Launched, Limits, OwnerId, Position, ShareGroup, Summary};
use tokio::time::{Instant, sleep};

use super::error::LaunchError;
use super::laps::Start;
use super::running::Share;
use super::shared::{Engine, to_the_end};
use crate::dispatch::LapId;
use crate::journal::{Creation, JournalError};
use crate::live::LiveBatch;
use crate::work::Upload;

/// The first pause while the same batch is being launched elsewhere, and the total time to wait. The pause doubles each time.
const ANOTHER_LAUNCH: Duration = Duration::from_millis(5);
const ANOTHER_LAUNCH_TIME: Duration = Duration::from_secs(10);

/// Memory per square of a running batch, in bytes.
const BYTES_A_SQUARE: usize = 16;

/// Who launches a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Launcher {
    /// Who may control the batch.
    pub owner: OwnerId,
    /// The owners of a group share the working time that an owner without a group has alone.
    pub group: Option<ShareGroup>,
}

impl From<OwnerId> for Launcher {
    fn from(owner: OwnerId) -> Self {
        Self { owner, group: None }
    }
}

impl Engine {
    /// Accepts a batch. The launch is durable when this returns. No task needs to have run by then, whatever the size of the batch.
    ///
    /// `spec.work` and `input` must come from [`Registry::prepare`](crate::work::Registry::prepare).
    ///
    /// Launching the same batch under the same id again succeeds and changes nothing.
    ///
    /// # Errors
    ///
    /// See [`LaunchError`].
    pub async fn launch(
        &self,
        id: BatchId,
        launcher: impl Into<Launcher>,
        spec: BatchSpec,
        input: Option<Bytes>,
    ) -> Result<Summary, LaunchError> {
        let (engine, launcher) = (self.clone(), launcher.into());
        to_the_end(async move { engine.launch_now(id, launcher, spec, input).await }).await
    }

    /// Launches a batch as a client requested it: prepares the work with the uploaded file, checks the limits, and launches it. If the
    /// request has no title, its kind of work makes one. `seed` is used if the request has none.
    ///
    /// # Errors
    ///
    /// See [`LaunchError`].
    pub async fn launch_request(
        &self,
        (id, seed): (BatchId, u64),
        launcher: impl Into<Launcher>,
        request: LaunchRequest,
        upload: Option<Upload>,
        limits: &Limits,
    ) -> Result<Summary, LaunchError> {
        let (file, upload) = upload.map(|upload| (upload.name, upload.content)).unzip();
        let requested = request.work.clone();
        let prepared = self.registry().prepare(requested.clone(), upload).await?;
        let request = LaunchRequest { work: prepared.work, ..request };
        let now = self.shared.settings.clock.now();
        let mut spec = BatchSpec::from_request(request, limits, seed, prepared.tasks, now)?;
        if spec.title.is_none() {
            spec.title = self.registry().title(&requested, spec.grid, file.flatten().as_deref());
        }
        self.launch(id, launcher, spec, prepared.input).await
    }

    async fn launch_now(
        &self,
        id: BatchId,
        Launcher { owner, group }: Launcher,
        spec: BatchSpec,
        input: Option<Bytes>,
    ) -> Result<Summary, LaunchError> {
        let bytes = spec_bytes(&spec);
        if bytes > MAX_SPEC {
            return Err(LaunchError::SpecTooLarge { bytes, max: MAX_SPEC });
        }
        self.shared.registry.build(&spec, input.clone())?;
        let lap = LapId { batch: id, lap: 1 };
        let tasks = spec.grid.squares();
        // The size of the input, in squares.
        let held = input.as_ref().map_or(0, |input| u32::try_from(input.len() / BYTES_A_SQUARE).unwrap_or(u32::MAX));
        let started = Instant::now();
        let mut pause = ANOTHER_LAUNCH;
        let epoch = loop {
            if let Some(before) = self.open(id).await? {
                return same_launch(&before, owner, &spec);
            }
            let share = Share::new(owner, tasks.saturating_add(held));
            if let Some(epoch) = self.count_and_coordinate::<LaunchError>(lap, share).await? {
                break epoch;
            }
            // The same batch is being launched concurrently.
            if started.elapsed() > ANOTHER_LAUNCH_TIME {
                return Err(JournalError::Unavailable("the same batch is being launched elsewhere".into()).into());
            }
            sleep(pause).await;
            pause *= 2;
        };
        let launched = Launched { group, ..Launched::new(spec, self.shared.settings.clock.now()) };
        match self.shared.journal.create(id, owner, launched.clone(), input).await {
            Ok(Creation::Created) => {
                let positions = Position(0)..Position(tasks);
                self.coordinate(lap, Start { epoch, positions: Some(positions), batch: None, is_adopted: false });
                Ok(Summary::of_launch(launched))
            }
            Ok(Creation::Exists) => {
                // Another node has launched it in the meantime, and coordinates it.
                self.give_up(lap).await;
                let before = self.open(id).await?.ok_or(LaunchError::Conflict)?;
                same_launch(&before, owner, &launched.spec)
            }
            Err(error) => {
                self.give_up(lap).await;
                Err(error.into())
            }
        }
    }
}

fn same_launch(before: &LiveBatch, owner: OwnerId, spec: &BatchSpec) -> Result<Summary, LaunchError> {
    let quilt = &before.folded().quilt;
    if before.owner() == owner && quilt.spec() == spec { Ok(quilt.summary()) } else { Err(LaunchError::Conflict) }
}
