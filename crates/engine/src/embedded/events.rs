//! The events of a batch.

use quilt::wire::{decode_event, encode_event};
use quilt::{Event, Launched};
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::record::Record;
use crate::checksum::{Checksum, Kind};
use crate::journal::Stored;

/// Maximum number of events per page.
const PAGE: usize = 256;

/// Maximum size of a page in bytes, not counting its last event.
const PAGE_BYTES: usize = 64 << 10;

/// Consecutive events.
pub(super) struct Events {
    pub(super) events: Vec<Event>,
    /// Whether there are no further events at this moment.
    pub(super) caught_up: bool,
}

/// Stores an event of a batch under its number.
pub(super) fn insert(connection: &Connection, record: &Record, number: u32, event: &Event) -> rusqlite::Result<()> {
    let body = encode_event(event);
    connection
        .prepare_cached("INSERT INTO events (batch, number, body, checksum) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![record.key, number, body, sum(record, number, &body)])?;
    Ok(())
}

/// Reads a page of events from a number on, and checks that none is missing.
pub(super) fn read(connection: &Connection, record: &Record, first: u32) -> Result<Events, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT number, body, checksum FROM events WHERE batch = ?1 AND number >= ?2 ORDER BY number",
    )?;
    let mut rows = statement.query(params![record.key, first])?;
    let mut events = Vec::new();
    let mut bytes = 0;
    let mut next = first;
    while let Some(row) = rows.next()? {
        if events.len() == PAGE || bytes > PAGE_BYTES {
            return Ok(Events { events, caught_up: false });
        }
        if row.get::<_, u32>(0)? != next {
            return Err(Failure::missing(record.id, Stored::Event(next.into())));
        }
        let body = row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?;
        events.push(decode(record, next, body, row.get(2)?)?);
        bytes += body.len();
        next = next.saturating_add(1);
    }
    match record.counts {
        // A follower may ask for an event that does not exist yet.
        Some(counts) if next < counts.events => Err(Failure::missing(record.id, Stored::Event(next.into()))),
        Some(counts) if next > counts.events && !events.is_empty() => {
            Err(Failure::checksum(record.id, Stored::Event(counts.events.into())))
        }
        _ => Ok(Events { events, caught_up: true }),
    }
}

/// The launch of a batch, unless it is damaged.
pub(super) fn first(connection: &Connection, record: &Record) -> Option<Launched> {
    let mut statement =
        connection.prepare_cached("SELECT body, checksum FROM events WHERE batch = ?1 AND number = 0").ok()?;
    let first = statement.query_row([record.key], |row| Ok((row.get::<_, Vec<u8>>(0)?, row.get(1)?)));
    let (body, checksum) = first.optional().ok()??;
    match decode(record, 0, &body, checksum) {
        Ok(Event::Launched(launched)) => Some(launched),
        _ => None,
    }
}

/// Decodes an event after verifying its checksum.
fn decode(record: &Record, number: u32, body: &[u8], checksum: Option<u32>) -> Result<Event, Failure> {
    let may_be_unchecked = record.counts.is_none_or(|counts| number < counts.unchecked);
    let is_intact = checksum.map_or(may_be_unchecked, |checksum| checksum == sum(record, number, body));
    if !is_intact {
        return Err(Failure::checksum(record.id, Stored::Event(number.into())));
    }
    decode_event(body).map_err(|error| Failure::Damaged { batch: record.id, reason: error.into() })
}

fn sum(record: &Record, number: u32, body: &[u8]) -> u32 {
    Checksum::of(Kind::Event, record.id).number(number.into()).bytes(body)
}
