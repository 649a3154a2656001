//! Receipts of finished laps, and the statistics they are made from.
//!
//! [`LapStats`] folds the same events as [`Quilt`]. Only nodes that run batches need it: it counts attempts and failed attempts per task,
//! which viewers do not receive.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{AttemptRun, Event, JournalVersion};
use crate::grid::Square;
use crate::order::Position;
use crate::square_state::SquareState;
use crate::state::{Change, Quilt};
use crate::timestamp::Timestamp;

/// The number of slow tasks in a receipt.
const SLOWEST: usize = 5;

/// The record of a finish line. It is derived from the journal, so all nodes write the same receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The lap, from 1.
    pub lap: u32,
    /// The number of tasks of the lap.
    pub lap_tasks: u32,
    /// The number of recorded attempts in the lap.
    pub attempts: u64,
    /// The number of squares of the quilt.
    pub tasks: u32,
    /// The number of done squares, in all laps.
    pub done: u32,
    /// The number of failed squares.
    pub failed: u32,
    /// The number of squares that were not run.
    #[serde(default)]
    pub not_run: u32,
    /// The start of the lap.
    pub started_at: Timestamp,
    /// The time at which the lap crossed its finish line.
    pub finished_at: Timestamp,
    /// The task that settled last.
    pub last_across: LastAcross,
    /// The tasks with the longest attempts, longest first. Attempts below one millisecond are omitted.
    pub slowest: Vec<SlowTask>,
    /// The rule of the digest. Receipts without this member use rule 1.
    #[serde(default = "first_rule")]
    pub digest_rule: u8,
    /// SHA-256 over the outcomes of all squares in reading order, in hexadecimal. A done square is the byte 1 and its red, green and blue.
    /// A failed square is the byte 2, the length of its reason in bytes as 32 bits in big-endian order, and the reason. A square that was
    /// not run is the byte 3. In rule 1 the reason is the whole message of a failure.
    pub outcomes_sha256: String,
}

const fn first_rule() -> u8 {
    JournalVersion::V1 as u8
}

/// The task that settled last in a lap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAcross {
    /// Its square.
    #[serde(flatten)]
    pub square: Square,
    /// The worker that ran it, if recorded.
    pub worker: Option<Box<str>>,
    /// The attempt that settled it, from 1, if recorded.
    pub attempt: Option<u8>,
}

/// A task with a long attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowTask {
    /// Its square.
    #[serde(flatten)]
    pub square: Square,
    /// The worker that ran it.
    pub worker: Box<str>,
    /// The attempt, from 1.
    pub attempt: u8,
    /// The duration of the attempt, in milliseconds.
    pub took_ms: u32,
}

/// The attempts of the current lap, and the receipts of finished laps.
///
/// Memory: one byte per square after the first failed attempt of a lap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LapStats {
    /// The number of the last failed attempt at each task in this lap, by position; empty before the first failure.
    failed_attempts: Vec<u8>,
    attempts: u64,
    slowest: Vec<SlowTask>,
    /// The attempts of the last write, which contain those that the next event settles.
    latest: Option<(Box<str>, Vec<AttemptRun>)>,
    receipts: Vec<Receipt>,
    /// Receipts that were already written for the same events, latest first. They are not computed again.
    noted: Vec<Receipt>,
}

impl LapStats {
    /// Creates statistics with receipts that were already written, in the order of their laps.
    #[must_use]
    pub fn with_noted(mut receipts: Vec<Receipt>) -> Self {
        receipts.reverse();
        Self { noted: receipts, ..Self::default() }
    }

    /// Whether the digest of the current lap's receipt matches the quilt. Receipts with an unknown rule are not checked.
    #[must_use]
    pub fn matches(&self, quilt: &Quilt) -> bool {
        let of_lap = self
            .receipts
            .last()
            .filter(|receipt| receipt.lap == quilt.lap_number() && receipt.digest_rule == quilt.launched.version as u8);
        of_lap.is_none_or(|receipt| receipt.outcomes_sha256 == outcomes_sha256(quilt))
    }

    /// Folds an event. `quilt` is the state after the event, and `changes` are its changes.
    pub fn apply(&mut self, quilt: &Quilt, event: &Event, changes: &[Change]) {
        match event {
            Event::Attempted { lap, worker, runs } if *lap == quilt.lap_number() && !quilt.status().is_over() => {
                for run in runs {
                    self.take(quilt, worker, run);
                }
                self.latest = Some((worker.clone(), runs.clone()));
            }
            Event::LapStarted { .. } if !changes.is_empty() => {
                let Self { receipts, noted, .. } = std::mem::take(self);
                *self = Self { receipts, noted, ..Self::default() };
            }
            Event::Settled { .. } if changes.last() == Some(&Change::Finished) => {
                let noted = self.noted.pop_if(|noted| noted.lap == quilt.lap_number());
                let receipt = noted.or_else(|| self.write_receipt(quilt));
                self.receipts.extend(receipt);
                self.failed_attempts = Vec::new();
            }
            _ => {}
        }
    }

    fn take(&mut self, quilt: &Quilt, worker: &str, run: &AttemptRun) {
        let tasks = quilt.progress().tasks;
        self.attempts = self.attempts.saturating_add(run.count.into());
        // Decoded events may contain positions outside the batch.
        let positions = run.first.0..run.positions().end.min(tasks);
        if run.error.is_some() {
            self.failed_attempts.resize(tasks as usize, 0);
            let range = positions.start as usize..positions.end as usize;
            for attempts in self.failed_attempts.get_mut(range).unwrap_or_default() {
                *attempts = run.number.max(*attempts);
            }
        }
        let least = self.slowest.get(SLOWEST - 1).map_or(0, |slow| slow.took_ms);
        if run.took_ms > least {
            // All attempts of a run take equally long, so the first ones suffice.
            for position in positions.take(SLOWEST) {
                self.note_slow(quilt, worker, run, Position(position));
            }
        }
    }

    fn note_slow(&mut self, quilt: &Quilt, worker: &str, run: &AttemptRun, position: Position) {
        let square = quilt.place_of(position);
        match self.slowest.iter().position(|slow| slow.square == square) {
            Some(place) if self.slowest.get(place).is_some_and(|slow| slow.took_ms >= run.took_ms) => return,
            Some(place) => drop(self.slowest.remove(place)),
            None => {}
        }
        let place = self.slowest.partition_point(|slow| slow.took_ms >= run.took_ms);
        let slow = SlowTask { square, worker: worker.into(), attempt: run.number, took_ms: run.took_ms };
        self.slowest.insert(place, slow);
        self.slowest.truncate(SLOWEST);
    }

    fn write_receipt(&self, quilt: &Quilt) -> Option<Receipt> {
        let finish = quilt.lap().finish()?;
        let position = quilt.order().position(finish.last_across).0;
        let attempt = self.latest.as_ref().and_then(|(worker, runs)| {
            let run = runs.iter().rev().find(|run| run.positions().contains(&position))?;
            Some((worker.clone(), run.number))
        });
        let (worker, attempt) = attempt.unzip();
        let progress = quilt.progress();
        Some(Receipt {
            lap: quilt.lap_number(),
            lap_tasks: quilt.lap().tasks,
            attempts: self.attempts,
            tasks: progress.tasks,
            done: progress.done,
            failed: progress.failed,
            not_run: progress.not_run,
            started_at: quilt.lap().started_at,
            finished_at: finish.at,
            last_across: LastAcross { square: quilt.grid().square(finish.last_across), worker, attempt },
            slowest: self.slowest.clone(),
            digest_rule: quilt.launched.version as u8,
            outcomes_sha256: outcomes_sha256(quilt),
        })
    }

    /// The number of the last failed attempt at a pending task in this lap; 0 if none has failed.
    #[must_use]
    pub fn failed_attempts(&self, position: Position) -> u8 {
        self.failed_attempts.get(position.0 as usize).copied().unwrap_or_default()
    }

    /// The receipts of the finished laps, in order.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }
}

/// The number of squares whose positions are computed at the same time for a digest.
const DIGEST_BLOCK: u32 = 1_024;

fn outcomes_sha256(quilt: &Quilt) -> String {
    let mut hash = Sha256::new();
    // Hashing many squares at once is faster.
    let mut bytes = Vec::with_capacity(4_096);
    let tasks = quilt.progress().tasks;
    let starts = (0..tasks).step_by(DIGEST_BLOCK as usize);
    let positions = starts.flat_map(|start| quilt.order().positions(start..tasks.min(start + DIGEST_BLOCK)));
    for position in positions {
        match quilt.at(position) {
            SquareState::Pending => bytes.push(0),
            SquareState::NotRun => bytes.push(3),
            SquareState::Done(color) => bytes.extend_from_slice(&(1 << 24 | color.rgb()).to_be_bytes()),
            SquareState::Failed(reason) => {
                bytes.push(2);
                bytes.extend_from_slice(&(reason.len() as u32).to_be_bytes());
                bytes.extend_from_slice(reason.as_bytes());
            }
        }
        if bytes.len() > 3_072 {
            hash.update(&bytes);
            bytes.clear();
        }
    }
    hash.update(&bytes);
    hash.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
