//! The downloaded part of a journal. The race, replays and, once a batch is over, the quilt are folds of it, so no part is downloaded twice.

use quilt::wire::{DecodeError, FramedEvent};
use quilt::{Event, Offset, Timestamp};

use crate::timeline::Activity;

/// The events of a journal from its start, as far as they were downloaded. The bytes are in the format of [`quilt::wire`].
#[derive(Debug, Default)]
pub struct Journal {
    bytes: Vec<u8>,
    /// How many bytes were read, and how many events they were.
    read: usize,
    events: u64,
    launched_at: Timestamp,
    activity: Activity,
}

impl Journal {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many events were read. Once all are, the next download starts behind them.
    #[must_use]
    pub fn offset(&self) -> Offset {
        Offset(self.events)
    }

    /// How many bytes were read.
    #[must_use]
    pub fn read(&self) -> usize {
        self.read
    }

    /// When attempts ran, in milliseconds since the launch.
    #[must_use]
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Adds the events that follow [`Journal::offset`].
    pub fn append(&mut self, bytes: Vec<u8>) {
        if self.bytes.is_empty() {
            self.bytes = bytes;
        } else {
            self.bytes.extend_from_slice(&bytes);
        }
    }

    /// Reads the next event. `Ok(None)` at the end; `Ok(Some(None))` for an event that is not wanted: unless `all` are, only attempts and
    /// the starts of laps are decoded.
    ///
    /// # Errors
    ///
    /// Returns a [`DecodeError`] for invalid bytes, and discards what follows the last event.
    pub fn next(&mut self, all: bool) -> Result<Option<Option<Event>>, DecodeError> {
        match self.take(all) {
            Ok(event) => Ok(event),
            Err(error) => {
                self.bytes.truncate(self.read);
                Err(error)
            }
        }
    }

    fn take(&mut self, all: bool) -> Result<Option<Option<Event>>, DecodeError> {
        let mut rest = self.bytes.get(self.read..).unwrap_or_default();
        let Some(framed) = FramedEvent::take(&mut rest)? else { return Ok(None) };
        let is_wanted = all || self.events == 0 || framed.is_attempts() || framed.is_lap_start();
        let event = if is_wanted { Some(framed.decode()?) } else { None };
        self.read = self.bytes.len() - rest.len();
        self.events += 1;
        match &event {
            Some(Event::Launched(launched)) => self.launched_at = launched.at,
            Some(Event::Attempted { runs, .. }) => {
                for run in runs {
                    let from = run.started_at.millis_since(self.launched_at);
                    self.activity.add(from, from.saturating_add(run.took_ms.into()));
                }
            }
            _ => {}
        }
        Ok(Some(event))
    }
}
