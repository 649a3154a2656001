//! Laps whose tasks have keys. Their dispatchers look ahead, and each chunk has one task.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use quilt::Position;
use tokio::time::Instant;

use super::dispatcher::{Dispatcher, MAX_RETRY_DELAY};
use super::keys::{Block, Key, LOOK_AHEAD};
use super::waiting::Waiting;

/// The queue of tasks without a key. Its tasks are not counted, so it is never full.
const NO_KEY: &str = "";

impl Dispatcher {
    /// Whether there are positions that can be claimed, within the look-ahead.
    pub(super) fn has_unassigned(&self) -> bool {
        match &self.keys {
            Some(keys) => keys.has_ready(),
            None => !self.unassigned.is_empty(),
        }
    }

    /// Moves unassigned positions into the queues of their keys, until a task can start.
    pub(super) fn look_ahead(&mut self, now: Instant) {
        let Some(keys) = &mut self.keys else { return };
        let batch = Arc::clone(&self.of.batch);
        let folded = batch.folded();
        while !keys.is_ready(now) && keys.waiting() < LOOK_AHEAD {
            let Some(positions) = self.unassigned.iter().next().cloned() else { return };
            let pending = folded.quilt.pending_in(Position(positions.start)..Position(positions.end)).next();
            let taken = pending.map_or(positions.end, |position| position.0 + 1);
            self.unassigned.remove(positions.start..taken);
            if let Some(position) = pending {
                let key = batch.key(position).unwrap_or_else(|| NO_KEY.into());
                keys.add(&key.into(), position.0, now);
            }
        }
    }

    /// Counts a chunk that starts. In a lap with keys it has one task.
    pub(super) fn start_key(&mut self, key: Option<&Key>, now: Instant) {
        if let Some((keys, key)) = self.keys.as_mut().zip(key) {
            keys.start(key, now);
        }
    }

    /// Removes and returns the next position whose task can start, with its key.
    pub(super) fn pop_key_queue(&mut self, now: Instant) -> Option<(u32, Option<Key>)> {
        let (position, key) = self.keys.as_mut()?.pop(now)?;
        Some((position, Some(key).filter(|key| **key != *NO_KEY)))
    }

    /// Counts a chunk that has ended.
    pub(super) fn end_key(&mut self, key: Option<Key>, pause: Option<Duration>, now: Instant) {
        let Some((keys, key)) = self.keys.as_mut().zip(key) else { return };
        if let Some(pause) = pause {
            keys.pause(&key, pause.min(MAX_RETRY_DELAY), now);
        }
        keys.end(&key, now);
    }

    /// Takes positions out of the queues of their keys.
    pub(super) fn take_out_of_key_queues(&mut self, positions: &Range<u32>, key: Option<&Key>, now: Instant) {
        if positions.len() > 1 {
            return self.empty_key_queues(now);
        }
        if let Some(keys) = &mut self.keys {
            let key = key.cloned().unwrap_or_else(|| NO_KEY.into());
            keys.remove(&key, positions.start, now);
        }
    }

    /// Moves the positions in the queues back to the unassigned ones.
    pub(super) fn empty_key_queues(&mut self, now: Instant) {
        let all = self.keys.as_mut().map(|keys| keys.drain(now)).unwrap_or_default();
        for position in all {
            self.unassign(position..position + 1);
        }
    }

    /// The reason why no task with the key of this one can start.
    pub(super) fn block(&self, position: Position, now: Instant) -> Option<Waiting> {
        let key = self.key_of(position)?;
        let block = self.keys.as_ref()?.block(&key, now)?;
        let key = key.as_ref().into();
        Some(match block {
            Block::Full(running) => Waiting::KeyFull { key, running },
            Block::Until(at) => Waiting::KeyPaused { key, in_ms: (at - now).as_millis() as u64 },
        })
    }

    /// The key of a task.
    pub(super) fn key_of(&self, position: Position) -> Option<Key> {
        self.of.batch.key(position).map(Into::into)
    }
}
