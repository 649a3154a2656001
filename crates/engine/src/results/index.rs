//! The last attempt of each square of a finished lap, in eight bytes a square, and orders derived from it.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use futures::StreamExt;
use quilt::{AttemptRun, Event, Index, Order, Position, SquareState};

use crate::journal::{Journal, JournalError, Offset};
use crate::live::LiveBatch;

/// How many squares are read from the fold while it is locked.
const LOCKED_SQUARES: u32 = 4_096;

/// The place of a worker that is not stored, because there were more than 65,535 different ones.
const UNKNOWN_WORKER: u16 = u16::MAX;

/// The memory that an index takes for each square: an entry, and a number in each of three orders.
pub(super) const BYTES_PER_SQUARE: usize = size_of::<Entry>() + 3 * size_of::<u32>();

/// The last attempt at a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexedAttempt<'index> {
    /// Which attempt it was in its lap, from 1.
    pub number: u8,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// The name of its worker; `None` for a batch with more than 65,535 workers.
    pub worker: Option<&'index str>,
}

/// What the index stores of a square.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    took_ms: u32,
    worker: u16,
    /// The number of the last attempt; 0 if there was none.
    attempt: u8,
    /// The rank of its state: done, failed, not run.
    state: u8,
}

/// The last attempt of each square, and squares in the order of a value. Made by one pass over the journal when a lap has ended.
#[derive(Debug)]
pub struct AttemptIndex {
    order: Order,
    offset: Offset,
    /// By position.
    entries: Box<[Entry]>,
    workers: Box<[Box<str>]>,
    by_state: OnceLock<Arc<SortedSquares>>,
    by_duration: OnceLock<Arc<SortedSquares>>,
    by_attempts: OnceLock<Arc<SortedSquares>>,
}

impl AttemptIndex {
    /// Reads the journal of a batch until another lap starts. It has at least the events up to the offset.
    pub(crate) async fn read(
        journal: &dyn Journal,
        batch: &LiveBatch,
        lap: u32,
        offset: Offset,
    ) -> Result<Self, JournalError> {
        let tasks = batch.spec().grid.squares();
        let mut builder = Builder::new(tasks);
        let mut pages = journal.follow(batch.id(), Offset::default());
        while let Some(page) = pages.next().await {
            let page = page?;
            let goes_on = page.events.iter().all(|event| builder.apply(event, lap));
            if !goes_on || page.caught_up {
                break;
            }
            tokio::task::yield_now().await;
        }
        for start in (0..tasks).step_by(LOCKED_SQUARES as usize) {
            {
                let folded = batch.folded();
                let quilt = &folded.quilt;
                builder.set_states(start, tasks.min(start + LOCKED_SQUARES), |position| quilt.at(position));
            }
            tokio::task::yield_now().await;
        }
        Ok(builder.finish(batch.order, offset))
    }

    /// The last attempt at the task of a square. `None` if it was never started, and for a square outside of the batch.
    #[must_use]
    pub fn attempt(&self, index: Index) -> Option<IndexedAttempt<'_>> {
        if index.0 as usize >= self.entries.len() {
            return None;
        }
        let entry = self.entries.get(self.order.position(index).0 as usize).filter(|entry| entry.attempt > 0)?;
        let worker = self.workers.get(usize::from(entry.worker)).map(|worker| &**worker);
        Some(IndexedAttempt { number: entry.attempt, took_ms: entry.took_ms, worker })
    }

    /// How many events of the journal it was made from. The orders of indexes with the same offset are the same, on every node.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// The squares by state: done, failed, not run. CPU-bound on the first call.
    pub fn by_state(&self) -> Arc<SortedSquares> {
        Arc::clone(self.by_state.get_or_init(|| self.sorted(|entry| Some(entry.state.into()))))
    }

    /// The squares by the duration of their last attempts. CPU-bound on the first call.
    pub fn by_duration(&self) -> Arc<SortedSquares> {
        let duration = |entry: &Entry| (entry.attempt > 0).then_some(entry.took_ms);
        Arc::clone(self.by_duration.get_or_init(|| self.sorted(duration)))
    }

    /// The squares by the number of their last attempts. CPU-bound on the first call.
    pub fn by_attempts(&self) -> Arc<SortedSquares> {
        let attempts = |entry: &Entry| (entry.attempt > 0).then_some(entry.attempt.into());
        Arc::clone(self.by_attempts.get_or_init(|| self.sorted(attempts)))
    }

    fn sorted(&self, value: impl Fn(&Entry) -> Option<u32>) -> Arc<SortedSquares> {
        let positions: Vec<Position> = (0..self.entries.len() as u32).map(Position).collect();
        let indices = self.order.indices(&positions);
        let (mut known, mut unknown) = (Vec::with_capacity(self.entries.len()), Vec::new());
        for (entry, index) in self.entries.iter().zip(indices) {
            match value(entry) {
                Some(value) => known.push(u64::from(value) << 32 | u64::from(index.0)),
                None => unknown.push(index.0),
            }
        }
        known.sort_unstable();
        unknown.sort_unstable();
        // The lower half is the index.
        let squares = known.iter().map(|known| *known as u32).chain(unknown);
        Arc::new(SortedSquares { squares: squares.collect(), known: known.len() as u32 })
    }
}

/// All squares of a batch in the order of a value. Squares with the same value are in reading order; squares without one are last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortedSquares {
    squares: Box<[u32]>,
    /// How many have a value.
    known: u32,
}

impl SortedSquares {
    /// The square at a rank, from 0. Descending reverses the squares that have a value.
    #[must_use]
    pub fn at(&self, rank: u32, is_descending: bool) -> Option<Index> {
        let rank = if is_descending && rank < self.known { self.known - 1 - rank } else { rank };
        self.squares.get(rank as usize).copied().map(Index)
    }
}

/// Folds the attempts of a journal.
struct Builder {
    entries: Box<[Entry]>,
    workers: Vec<Box<str>>,
    ids: HashMap<Box<str>, u16>,
}

impl Builder {
    fn new(tasks: u32) -> Self {
        let entries = vec![Entry::default(); tasks as usize].into();
        Self { entries, workers: Vec::new(), ids: HashMap::new() }
    }

    /// Folds an event. Returns `false` when a lap after the given one starts.
    fn apply(&mut self, event: &Event, until: u32) -> bool {
        match event {
            Event::LapStarted { lap, .. } => *lap <= until,
            Event::Attempted { worker, runs, .. } => {
                let worker = self.id_of(worker);
                runs.iter().for_each(|run| self.record(worker, run));
                true
            }
            _ => true,
        }
    }

    fn id_of(&mut self, worker: &str) -> u16 {
        if let Some(id) = self.ids.get(worker) {
            return *id;
        }
        let id = u16::try_from(self.workers.len()).unwrap_or(UNKNOWN_WORKER);
        if id == UNKNOWN_WORKER {
            return id;
        }
        self.workers.push(worker.into());
        self.ids.insert(worker.into(), id);
        id
    }

    fn record(&mut self, worker: u16, run: &AttemptRun) {
        let squares = run.positions();
        let end = self.entries.len().min(squares.end as usize);
        for entry in self.entries.get_mut(squares.start as usize..end).unwrap_or_default() {
            *entry = Entry { took_ms: run.took_ms, worker, attempt: run.number, state: 0 };
        }
    }

    fn set_states<'quilt>(&mut self, start: u32, end: u32, state: impl Fn(Position) -> SquareState<'quilt>) {
        let entries = self.entries.get_mut(start as usize..end as usize).unwrap_or_default();
        for (position, entry) in (start..end).zip(entries) {
            entry.state = match state(Position(position)) {
                SquareState::Done(_) => 0,
                SquareState::Failed(_) => 1,
                SquareState::NotRun => 2,
                SquareState::Pending => 3,
            };
        }
    }

    fn finish(self, order: Order, offset: Offset) -> AttemptIndex {
        AttemptIndex {
            order,
            offset,
            entries: self.entries,
            workers: self.workers.into(),
            by_state: OnceLock::new(),
            by_duration: OnceLock::new(),
            by_attempts: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use quilt::{LapSet, TaskOrder, Timestamp};

    use super::*;

    fn run(first: u32, count: u32, number: u8, took_ms: u32) -> AttemptRun {
        AttemptRun { first: Position(first), count, number, started_at: Timestamp(0), took_ms, error: None }
    }

    fn attempted(worker: &str, runs: Vec<AttemptRun>) -> Event {
        Event::Attempted { lap: 1, worker: worker.into(), runs }
    }

    fn ranks(sorted: &SortedSquares, is_descending: bool) -> Vec<u32> {
        (0..).map_while(|rank| sorted.at(rank, is_descending)).map(|index| index.0).collect()
    }

    #[test]
    fn the_last_attempt_counts_and_squares_without_one_are_last() {
        let mut builder = Builder::new(6);
        assert!(builder.apply(&attempted("a", vec![run(0, 3, 1, 9), run(4, 1, 1, 2)]), 1));
        assert!(builder.apply(&attempted("b", vec![run(1, 1, 2, 4)]), 1));
        let next = Event::LapStarted { lap: 2, at: Timestamp(9), set: LapSet::Failed, limits: None };
        assert!(!builder.apply(&next, 1) && builder.apply(&next, 2));
        let index = builder.finish(Order::new(TaskOrder::Input, 1, 6), Offset::default());
        let attempt = |index: &AttemptIndex, square| {
            index
                .attempt(Index(square))
                .map(|attempt| (attempt.number, attempt.took_ms, attempt.worker.map(String::from)))
        };
        assert_eq!(attempt(&index, 1), Some((2, 4, Some("b".into()))));
        assert_eq!(attempt(&index, 2), Some((1, 9, Some("a".into()))));
        assert_eq!((attempt(&index, 3), attempt(&index, 6)), (None, None));
        assert_eq!(ranks(&index.by_duration(), false), [4, 1, 0, 2, 3, 5]);
        assert_eq!(ranks(&index.by_duration(), true), [2, 0, 1, 4, 3, 5]);
        assert_eq!(ranks(&index.by_attempts(), false), [0, 2, 4, 1, 3, 5]);
        assert!(Arc::ptr_eq(&index.by_attempts(), &index.by_attempts()), "computed once");
    }

    #[test]
    fn squares_are_found_in_a_random_order() {
        let order = Order::new(TaskOrder::Random, 7, 1_000);
        let mut builder = Builder::new(1_000);
        for position in 0..1_000 {
            builder.record(0, &run(position, 1, 1, order.index(Position(position)).0));
        }
        builder.set_states(0, 1_000, |position| match position.0 {
            0..10 => SquareState::Failed("no"),
            _ => SquareState::NotRun,
        });
        let index = builder.finish(order, Offset::default());
        assert!((0..1_000).all(|square| index.attempt(Index(square)).is_some_and(|it| it.took_ms == square)));
        assert_eq!(ranks(&index.by_duration(), false), (0..1_000).collect::<Vec<u32>>());
        let by_state = ranks(&index.by_state(), false);
        assert!(by_state[..10].iter().all(|square| order.position(Index(*square)).0 < 10));
        assert!(by_state[..10].is_sorted() && by_state[10..].is_sorted());
    }

    #[test]
    fn runs_outside_of_the_batch_are_ignored() {
        let mut builder = Builder::new(3);
        builder.record(0, &run(2, u32::MAX, 1, 5));
        builder.record(0, &run(u32::MAX, 5, 1, 5));
        let index = builder.finish(Order::new(TaskOrder::Input, 1, 3), Offset::default());
        assert_eq!(index.attempt(Index(2)).map(|attempt| attempt.took_ms), Some(5));
    }
}
