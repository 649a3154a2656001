//! Data stored once per batch: its input and its receipts.

use bytes::Bytes;
use quilt::Receipt;
use rusqlite::{Connection, OptionalExtension, params};

use super::failure::Failure;
use super::record::Record;
use crate::checksum::{Checksum, Kind, of_input};
use crate::journal::Stored;

/// Stores the input of a new batch.
pub(super) fn insert_input(connection: &Connection, record: &Record, input: &[u8]) -> rusqlite::Result<()> {
    connection.prepare_cached("INSERT INTO inputs (batch, body, checksum) VALUES (?1, ?2, ?3)")?.execute(params![
        record.key,
        input,
        of_input(record.id, input)
    ])?;
    Ok(())
}

/// The input of a batch, if it has one.
pub(super) fn read_input(connection: &Connection, record: &Record) -> Result<Option<Bytes>, Failure> {
    let stored: Option<(Vec<u8>, Option<u32>)> = connection
        .prepare_cached("SELECT body, checksum FROM inputs WHERE batch = ?1")?
        .query_row([record.key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((input, checksum)) = stored else {
        let is_missing = record.counts.is_some_and(|counts| counts.has_input);
        return if is_missing { Err(Failure::missing(record.id, Stored::Input)) } else { Ok(None) };
    };
    let is_expected = record.counts.is_none_or(|counts| counts.has_input);
    let is_intact = checksum.map_or(!record.is_fully_checked(), |checksum| checksum == of_input(record.id, &input));
    if is_expected && is_intact { Ok(Some(input.into())) } else { Err(Failure::checksum(record.id, Stored::Input)) }
}

/// The size of the input of a batch, if it has one. SQLite reads the length of a body without the body.
pub(super) fn read_input_size(connection: &Connection, record: &Record) -> rusqlite::Result<Option<u64>> {
    let size: Option<i64> = connection
        .prepare_cached("SELECT length(body) FROM inputs WHERE batch = ?1")?
        .query_row([record.key], |row| row.get(0))
        .optional()?;
    Ok(size.and_then(|size| size.try_into().ok()))
}

/// Stores receipts that are not stored yet. Returns the number of stored receipts.
pub(super) fn add_receipts(connection: &Connection, record: &Record, receipts: &[Receipt]) -> rusqlite::Result<u32> {
    for receipt in receipts {
        let body = json(receipt)?;
        connection
            .prepare_cached("INSERT OR IGNORE INTO receipts (batch, lap, body, checksum) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![record.key, receipt.lap, body, receipt_sum(record, receipt.lap, &body)])?;
    }
    connection
        .prepare_cached("SELECT count(*) FROM receipts WHERE batch = ?1")?
        .query_row([record.key], |row| row.get(0))
}

/// The receipts of a batch, in the order of their laps. Returns none if one of them is damaged or missing; the caller then derives all of
/// them from the events.
pub(super) fn read_receipts(connection: &Connection, record: &Record) -> rusqlite::Result<Vec<Receipt>> {
    let stored: Vec<(u32, String, Option<u32>)> = connection
        .prepare_cached("SELECT lap, body, checksum FROM receipts WHERE batch = ?1 ORDER BY lap")?
        .query_map([record.key], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let are_all = record.counts.is_none_or(|counts| counts.receipts as usize == stored.len());
    let receipts: Option<Vec<_>> = stored
        .into_iter()
        .map(|(lap, body, checksum)| {
            let is_intact =
                checksum.map_or(!record.is_fully_checked(), |checksum| checksum == receipt_sum(record, lap, &body));
            is_intact.then(|| serde_json::from_str(&body).ok()).flatten()
        })
        .collect();
    let receipts = receipts.filter(|_| are_all);
    if receipts.is_none() {
        tracing::error!(batch = %record.id, "the stored receipts are damaged; they are derived from the events again");
    }
    Ok(receipts.unwrap_or_default())
}

fn receipt_sum(record: &Record, lap: u32, body: &str) -> u32 {
    Checksum::of(Kind::Receipt, record.id).number(lap.into()).bytes(body.as_bytes())
}

pub(super) fn json(value: &impl serde::Serialize) -> rusqlite::Result<String> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
