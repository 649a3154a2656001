//! The details of squares, and for each batch the set of squares that have one. The set reveals missing rows.

use std::collections::BTreeMap;
use std::ops::Range;

use quilt::{BatchId, Index};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::failure::Failure;
use super::record::Record;
use crate::checksum::{Checksum, Kind, of_detail};
use crate::journal::{SquareDetail, Stored};

/// The number of squares that one row of `detail_sets` covers.
const SET_SQUARES: u32 = 256;

/// The squares of one part of a batch that have a detail, one bit per square.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Set([u8; (SET_SQUARES / 8) as usize]);

impl Set {
    fn place(square: u32) -> (usize, u8) {
        let place = square % SET_SQUARES;
        ((place / 8) as usize, 1 << (place % 8))
    }

    fn contains(&self, square: u32) -> bool {
        let (byte, bit) = Self::place(square);
        self.0.get(byte).is_some_and(|byte| byte & bit != 0)
    }

    fn insert(&mut self, square: u32) {
        let (byte, bit) = Self::place(square);
        if let Some(byte) = self.0.get_mut(byte) {
            *byte |= bit;
        }
    }

    fn sum(&self, batch: BatchId, part: u32) -> u32 {
        Checksum::of(Kind::DetailSet, batch).number(part.into()).bytes(&self.0)
    }
}

/// Stores details. The detail of a later lap replaces that of an earlier lap.
pub(super) fn put(connection: &Connection, record: &Record, details: &[SquareDetail]) -> Result<(), Failure> {
    let mut sets: BTreeMap<u32, (Set, Set)> = BTreeMap::new();
    for detail in details {
        let SquareDetail { index, lap, body } = detail;
        let part = index.0 / SET_SQUARES;
        let set = match sets.get_mut(&part) {
            Some((_, set)) => set,
            None => {
                let known = known_set(connection, record, part)?;
                &mut sets.entry(part).or_insert((known, known)).1
            }
        };
        set.insert(index.0);
        connection
            .prepare_cached(
                "INSERT INTO details (batch, square, lap, body, checksum) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (batch, square) DO UPDATE SET lap = excluded.lap, body = excluded.body, checksum = excluded.checksum
                 WHERE excluded.lap > lap",
            )?
            .execute(params![record.key, index.0, lap, &**body, of_detail(record.id, detail)])?;
    }
    for (part, (_, set)) in sets.into_iter().filter(|(_, (known, set))| known != set) {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO detail_sets (batch, part, squares, checksum) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![record.key, part, set.0, set.sum(record.id, part)])?;
    }
    Ok(())
}

/// The details of a range of squares, in the order of the squares.
pub(super) fn read(
    connection: &Connection,
    record: &Record,
    squares: Range<u32>,
) -> Result<Vec<SquareDetail>, Failure> {
    let sets = read_sets(connection, record, &squares)?;
    let mut statement = connection.prepare_cached(
        "SELECT square, lap, body, checksum FROM details WHERE batch = ?1 AND square >= ?2 AND square < ?3 ORDER BY square",
    )?;
    let mut rows = statement.query(params![record.key, squares.start, squares.end])?;
    let mut details: Vec<SquareDetail> = Vec::new();
    while let Some(row) = rows.next()? {
        let (detail, checksum) = read_detail(row)?;
        let index = detail.index;
        let is_in_set = sets.get(&(index.0 / SET_SQUARES)).map(|set| set.contains(index.0));
        let is_intact =
            checksum.map_or(!record.is_fully_checked(), |checksum| checksum == of_detail(record.id, &detail));
        if !is_intact {
            return Err(Failure::checksum(record.id, Stored::Detail(index)));
        }
        // Earlier versions wrote no sets.
        if !is_in_set.unwrap_or(!record.is_fully_checked()) {
            return Err(Failure::missing(record.id, Stored::DetailSet(index)));
        }
        details.push(detail);
    }
    let is_missing = |square: &u32| {
        let is_expected = sets.get(&(square / SET_SQUARES)).is_some_and(|set| set.contains(*square));
        is_expected && details.binary_search_by_key(square, |detail| detail.index.0).is_err()
    };
    match squares.clone().find(is_missing) {
        Some(square) => Err(Failure::missing(record.id, Stored::Detail(Index(square)))),
        None => Ok(details),
    }
}

fn read_detail(row: &Row<'_>) -> rusqlite::Result<(SquareDetail, Option<u32>)> {
    let detail = SquareDetail { index: Index(row.get(0)?), lap: row.get(1)?, body: row.get::<_, Vec<u8>>(2)?.into() };
    Ok((detail, row.get(3)?))
}

/// The sets of the parts that a range of squares overlaps.
fn read_sets(connection: &Connection, record: &Record, squares: &Range<u32>) -> Result<BTreeMap<u32, Set>, Failure> {
    let mut statement = connection.prepare_cached(
        "SELECT part, squares, checksum FROM detail_sets WHERE batch = ?1 AND part BETWEEN ?2 AND ?3",
    )?;
    let last = squares.end.saturating_sub(1) / SET_SQUARES;
    let mut rows = statement.query(params![record.key, squares.start / SET_SQUARES, last])?;
    let mut sets = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let part = row.get(0)?;
        sets.insert(part, intact(record, part, Set(row.get(1)?), row.get(2)?)?);
    }
    Ok(sets)
}

/// The current set of a part, to which a detail is about to be added.
fn known_set(connection: &Connection, record: &Record, part: u32) -> Result<Set, Failure> {
    let stored = connection
        .prepare_cached("SELECT squares, checksum FROM detail_sets WHERE batch = ?1 AND part = ?2")?
        .query_row(params![record.key, part], |row| Ok((Set(row.get(0)?), row.get(1)?)))
        .optional()?;
    match stored {
        Some((set, checksum)) => intact(record, part, set, checksum),
        None if record.is_fully_checked() => Ok(Set::default()),
        None => Ok(count_set(connection, record.key, part)?),
    }
}

/// Computes the set of a part for which an earlier version wrote none.
fn count_set(connection: &Connection, key: i64, part: u32) -> rusqlite::Result<Set> {
    let first = part.saturating_mul(SET_SQUARES);
    let mut statement =
        connection.prepare_cached("SELECT square FROM details WHERE batch = ?1 AND square >= ?2 AND square < ?3")?;
    let mut rows = statement.query(params![key, first, first.saturating_add(SET_SQUARES)])?;
    let mut set = Set::default();
    while let Some(row) = rows.next()? {
        set.insert(row.get(0)?);
    }
    Ok(set)
}

fn intact(record: &Record, part: u32, set: Set, checksum: u32) -> Result<Set, Failure> {
    if set.sum(record.id, part) == checksum {
        return Ok(set);
    }
    Err(Failure::checksum(record.id, Stored::DetailSet(Index(part.saturating_mul(SET_SQUARES)))))
}
