//! What is left of a lap when it has crossed its finish line, and what it takes to tell.
//!
//! [`LapStats`] is a fold beside [`Quilt`], over the same events. It is for nodes that run batches: it counts attempts and failed attempts by
//! task, which viewers do not receive.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::event::{AttemptRun, Event, JournalVersion};
use crate::grid::Square;
use crate::order::Position;
use crate::square_state::SquareState;
use crate::state::{Change, Quilt};
use crate::timestamp::Timestamp;

/// How many of the slowest tasks a receipt names.
const SLOWEST: usize = 5;

/// The one record of a finish line. It follows from the journal, so every node that ever reads it writes the same one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The lap, from 1.
    pub lap: u32,
    /// How many tasks it had to run.
    pub lap_tasks: u32,
    /// How many attempts at them were recorded.
    pub attempts: u64,
    /// All squares of the quilt.
    pub tasks: u32,
    /// Those that are done, whenever that was.
    pub done: u32,
    /// Those that failed.
    pub failed: u32,
    /// Those that were not run.
    #[serde(default)]
    pub not_run: u32,
    /// When the lap was started.
    pub started_at: Timestamp,
    /// When it crossed its finish line.
    pub finished_at: Timestamp,
    /// Which task crossed it last.
    pub last_across: LastAcross,
    /// The tasks with the longest attempts, the longest first; none that took less than a millisecond.
    pub slowest: Vec<SlowTask>,
    /// The rule by which the next member is made; receipts without one were made by rule 1.
    #[serde(default = "first_rule")]
    pub digest_rule: u8,
    /// SHA-256 over the outcomes of all squares in reading order, in hexadecimal. A done square is the byte 1 and its red, green and blue; a failed
    /// one is the byte 2, the length of its reason in bytes as four bytes, the most significant one first, and the reason; one that was not
    /// run is the byte 3. By rule 1 the whole message of a failure is its reason.
    pub outcomes_sha256: String,
}

const fn first_rule() -> u8 {
    JournalVersion::V1 as u8
}

/// The task that crossed the finish line last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAcross {
    /// Its square.
    #[serde(flatten)]
    pub square: Square,
    /// The worker that ran it, where that was recorded.
    pub worker: Option<Box<str>>,
    /// The attempt that settled it, from 1, where that was recorded.
    pub attempt: Option<u8>,
}

/// A task of which one attempt took long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlowTask {
    /// Its square.
    #[serde(flatten)]
    pub square: Square,
    /// The worker that ran it.
    pub worker: Box<str>,
    /// The attempt, from 1.
    pub attempt: u8,
    /// How long that one took, in milliseconds.
    pub took_ms: u32,
}

/// What is known of a lap's attempts, and the receipts of the laps that are over.
///
/// Memory: a byte a square from the first failed attempt of a lap on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LapStats {
    /// The number of each task's last failed attempt in this lap, by position; empty while none has failed.
    failed_attempts: Vec<u8>,
    attempts: u64,
    slowest: Vec<SlowTask>,
    /// The attempts of the last write: whatever settles next is among them.
    latest: Option<(Box<str>, Vec<AttemptRun>)>,
    receipts: Vec<Receipt>,
    /// Receipts that somebody else has written after the same events, and that need not be written again, the latest one first.
    noted: Vec<Receipt>,
}

impl LapStats {
    /// The statistics of events of which these receipts, in the order of their laps, were written before.
    #[must_use]
    pub fn with_noted(mut receipts: Vec<Receipt>) -> Self {
        receipts.reverse();
        Self { noted: receipts, ..Self::default() }
    }

    /// Whether the receipt of a lap that ended with this quilt has the quilt's outcomes. One by a rule that this version does not know
    /// cannot be checked.
    #[must_use]
    pub fn matches(&self, quilt: &Quilt) -> bool {
        let of_lap = self
            .receipts
            .last()
            .filter(|receipt| receipt.lap == quilt.lap_number() && receipt.digest_rule == quilt.launched.version as u8);
        of_lap.is_none_or(|receipt| receipt.outcomes_sha256 == outcomes_sha256(quilt))
    }

    /// Folds an event in. The quilt is as it is with that event, and `changes` are those that it brought.
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
        // What is written is within the batch; what is read may be anything.
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
            // Those behind the first ones of a run are no slower.
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

    /// The number of a pending task's last failed attempt in this lap; 0 where none has failed.
    #[must_use]
    pub fn failed_attempts(&self, position: Position) -> u8 {
        self.failed_attempts.get(position.0 as usize).copied().unwrap_or_default()
    }

    /// The receipts of the laps that crossed their finish lines, in order.
    #[must_use]
    pub fn receipts(&self) -> &[Receipt] {
        &self.receipts
    }
}

/// How many squares are looked up at the same time for a digest.
const DIGEST_BLOCK: u32 = 1_024;

fn outcomes_sha256(quilt: &Quilt) -> String {
    let mut hash = Sha256::new();
    // Many squares at once are hashed faster than one by one.
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
