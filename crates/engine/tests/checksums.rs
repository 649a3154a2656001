//! A stored value that was changed is an error, and never another value.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::path::Path;

use bytes::Bytes;
use engine::embedded::SqliteJournal;
use engine::journal::{
    BatchListItem, BatchMeta, Blobs, Catalog, Cleanup, Damage, EventLog, JournalError, Offset, OpenBatch, SquareDetail,
    Stored,
};
use engine::{Journal, Retention};
use futures::StreamExt;
use quilt::{
    BatchId, BatchSpec, Color, Event, Grid, Index, LapStats, Launched, Outcome, OwnerId, Position, Quilt, Settlement,
    Timestamp,
};
use tempfile::TempDir;

const OWNER: OwnerId = OwnerId::from_bytes([1; 16]);
const STRANGER: OwnerId = OwnerId::from_bytes([2; 16]);
const SIDE: u16 = 8;
const TASKS: u32 = 64;

/// How far apart the bits are that are flipped, in bytes, unless `FLIP_STEP` says otherwise.
const STEP: usize = 50;

fn id(number: u8) -> BatchId {
    BatchId::from_bytes([number; 16])
}

fn launched(at: u64) -> Launched {
    let work = serde_json::from_str(r#"{"kind": "color"}"#).expect("a work spec");
    Launched::new(BatchSpec::new(work, Grid::new(SIDE, SIDE).expect("a small grid"), 7), Timestamp(at))
}

fn settled(position: u32) -> Event {
    let outcome = match position % 9 {
        0 => Outcome::Failed(format!("reason {position}").into()),
        _ => Outcome::Done(Color::from_rgb(position * 1_000)),
    };
    let settlements = vec![Settlement { position: Position(position), outcome }];
    Event::Settled { lap: 1, at: Timestamp(u64::from(position) + 2_000), settlements }
}

fn detail(square: u32) -> SquareDetail {
    let body = Bytes::from(format!("detail {square} ").repeat(1 + square as usize % 5));
    SquareDetail { index: Index(square), lap: 1, body }
}

/// Six batches of two owners: three that are over, one of them with an input, and three that run.
async fn fill(journal: &SqliteJournal) {
    for number in 1..=6 {
        let owner = if number == 4 { STRANGER } else { OWNER };
        let input = (number % 3 == 0).then(|| Bytes::from(vec![number; 9_000]));
        journal.create(id(number), owner, launched(number.into()), input).await.expect("writable");
        let last = if number > 3 { TASKS / 2 } else { TASKS };
        for position in 0..last {
            let details = if number % 2 == 1 { vec![detail(position)] } else { Vec::new() };
            journal.append(id(number), vec![settled(position)], details).await.expect("writable");
        }
        if number <= 3 {
            finalize(journal, id(number), launched(number.into())).await;
        }
    }
}

async fn finalize(journal: &SqliteJournal, batch: BatchId, launched: Launched) {
    let (mut quilt, mut stats) = (Quilt::new(launched), LapStats::default());
    for position in 0..TASKS {
        let mut changes = Vec::new();
        quilt.apply(&settled(position), &mut changes);
        stats.apply(&quilt, &settled(position), &changes);
    }
    journal.finalize(batch, 1, quilt.summary(), stats.receipts().to_vec()).await.expect("writable");
}

/// All that can be read of a batch.
#[derive(Debug, Clone)]
struct Batch {
    events: Result<Vec<Event>, JournalError>,
    details: Result<Vec<SquareDetail>, JournalError>,
    some_details: Result<Vec<SquareDetail>, JournalError>,
    input: Result<Option<Bytes>, JournalError>,
    found: Result<Option<BatchMeta>, JournalError>,
}

/// All that can be read of a file.
#[derive(Debug, Clone)]
struct Everything {
    batches: Vec<Batch>,
    lists: [Result<Vec<BatchListItem>, JournalError>; 2],
    unfinished: Result<Vec<OpenBatch>, JournalError>,
    expired: Result<Vec<BatchId>, JournalError>,
}

async fn read_events(journal: &SqliteJournal, batch: BatchId) -> Result<Vec<Event>, JournalError> {
    let mut pages = journal.follow(batch, Offset::default());
    let mut events = Vec::new();
    loop {
        let page = pages.next().await.expect("it does not end")?;
        events.extend(page.events);
        if page.caught_up {
            return Ok(events);
        }
    }
}

async fn read_everything(journal: &SqliteJournal) -> Everything {
    let mut batches = Vec::new();
    for number in 1..=6 {
        let batch = id(number);
        batches.push(Batch {
            events: read_events(journal, batch).await,
            details: journal.details(batch, 0..TASKS).await,
            some_details: journal.details(batch, 3..9).await,
            input: journal.input(batch).await,
            found: journal.find(batch).await,
        });
    }
    let retention = Retention { age: Some(std::time::Duration::ZERO), bytes: None };
    Everything {
        batches,
        lists: [journal.list(OWNER, None, 9).await, journal.list(STRANGER, None, 9).await],
        unfinished: journal.unfinished().await,
        expired: journal.expired(retention, 0, 9).await,
    }
}

/// Whether a read returned an error or what was there.
fn is_told<T: PartialEq>(now: &Result<T, JournalError>, before: &Result<T, JournalError>) -> bool {
    now.as_ref().map_or(true, |now| before.as_ref().is_ok_and(|before| now == before))
}

/// Receipts may be left out: the engine derives them from the events then.
fn is_found(now: &Batch, before: &Batch) -> bool {
    let without = |found: &Result<Option<BatchMeta>, JournalError>| {
        found.clone().map(|found| found.map(|found| BatchMeta { receipts: Vec::new(), ..found }))
    };
    let receipts = |batch: &Batch| match &batch.found {
        Ok(Some(found)) => found.receipts.clone(),
        _ => Vec::new(),
    };
    let is_complete = receipts(now).is_empty() || receipts(now) == receipts(before);
    is_complete && is_told(&without(&now.found), &without(&before.found))
}

/// What was read silently changed, by name.
fn changes(now: &Everything, before: &Everything) -> Vec<String> {
    let mut changes = Vec::new();
    for (number, (now, before)) in (1..).zip(now.batches.iter().zip(&before.batches)) {
        let reads = [
            ("events", is_told(&now.events, &before.events)),
            ("details", is_told(&now.details, &before.details)),
            ("some details", is_told(&now.some_details, &before.some_details)),
            ("input", is_told(&now.input, &before.input)),
            ("found", is_found(now, before)),
        ];
        changes.extend(reads.iter().filter(|(_, told)| !told).map(|(what, _)| format!("{what} of batch {number}")));
    }
    // A batch whose events are an error may be without its final summary, and may be kept for longer.
    let is_readable = |batch: BatchId| now.batches[usize::from(batch.as_bytes()[0]) - 1].events.is_ok();
    for (list, (now, before)) in now.lists.iter().zip(&before.lists).enumerate() {
        let (Ok(now), Ok(before)) = (now, before) else { continue };
        let is_same = now.len() == before.len()
            && now.iter().zip(before).all(|(now, before)| {
                let is_open = now.final_summary.is_none() && !is_readable(before.batch);
                now == before || (now.batch == before.batch && now.cursor == before.cursor && is_open)
            });
        changes.extend((!is_same).then(|| format!("list {list}")));
    }
    if let (Ok(now), Ok(before)) = (&now.unfinished, &before.unfinished) {
        let is_same = now.len() == before.len()
            && now.iter().zip(before).all(|(now, before)| now == before || !is_readable(before.batch));
        changes.extend((!is_same).then(|| "unfinished".into()));
    }
    if let (Ok(now), Ok(before)) = (&now.expired, &before.expired) {
        let is_same = before.iter().filter(|batch| now.contains(batch) || is_readable(**batch)).eq(now);
        changes.extend((!is_same).then(|| "expired".into()));
    }
    changes
}

async fn open_and_read(path: &Path) -> Option<Everything> {
    let journal = SqliteJournal::open(path).ok()?;
    let everything = read_everything(&journal).await;
    journal.close().await;
    Some(everything)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_in_the_file_changes_no_read_silently() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("quilt.db");
    let journal = SqliteJournal::open(&path).expect("a fresh file");
    fill(&journal).await;
    journal.close().await;
    let whole = std::fs::read(&path).expect("readable");
    let before = open_and_read(&path).await.expect("it is whole");
    assert!(before.batches.iter().all(|batch| batch.events.is_ok() && batch.details.is_ok() && batch.input.is_ok()));
    let step = std::env::var("FLIP_STEP").map_or(STEP, |step| step.parse().expect("a number"));
    let copy = memory_folder();
    let (mut silent, mut unchanged, mut refused, mut flips) = (Vec::new(), 0, 0, 0);
    for place in (0..whole.len()).step_by(step) {
        let path = copy.path().join(format!("{place}.db"));
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (flips % 8);
        std::fs::write(&path, bytes).expect("writable");
        flips += 1;
        match open_and_read(&path).await {
            None => refused += 1,
            Some(now) if format!("{now:?}") == format!("{before:?}") => unchanged += 1,
            Some(now) => silent.extend(changes(&now, &before).into_iter().map(|what| format!("byte {place}: {what}"))),
        }
    }
    println!("{flips} flips in {} bytes: {refused} refused at the start, {unchanged} without an effect", whole.len());
    assert_eq!(silent, Vec::<String>::new());
}

/// A folder in memory, where there is one: nothing in it has to survive, and each file costs several writes to a disk.
fn memory_folder() -> TempDir {
    let in_memory = TempDir::new_in("/dev/shm");
    in_memory.or_else(|_| TempDir::new()).expect("a folder")
}

/// A file in which a statement was run by another program.
async fn changed(statement: &str) -> (TempDir, SqliteJournal) {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("quilt.db");
    let journal = SqliteJournal::open(&path).expect("a fresh file");
    fill(&journal).await;
    journal.close().await;
    let file = rusqlite::Connection::open(&path).expect("writable");
    assert!(file.execute(statement, []).expect("valid") > 0, "{statement}");
    drop(file);
    (folder, SqliteJournal::open(&path).expect("its structure is whole"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_or_missing_is_named() {
    let reason = |error: JournalError| match error {
        JournalError::Damaged { batch, reason } if batch == id(3) => reason,
        other => panic!("{other}"),
    };
    for (statement, expected) in [
        (
            "UPDATE events SET body = (SELECT body FROM events WHERE batch = 1 AND number = 5) WHERE batch = 3 AND number = 7",
            Damage::Checksum(Stored::Event(7)),
        ),
        ("UPDATE events SET checksum = NULL WHERE batch = 3 AND number = 7", Damage::Checksum(Stored::Event(7))),
        ("DELETE FROM events WHERE batch = 3 AND number = 7", Damage::Missing(Stored::Event(7))),
        ("DELETE FROM events WHERE batch = 3 AND number = 64", Damage::Missing(Stored::Event(64))),
        ("DELETE FROM events WHERE batch = 3", Damage::Missing(Stored::Event(0))),
        (
            "UPDATE batches SET owner = x'02020202020202020202020202020202' WHERE key = 3",
            Damage::Checksum(Stored::Record),
        ),
        ("UPDATE batches SET lap = 2 WHERE key = 3", Damage::Checksum(Stored::Record)),
    ] {
        let (_folder, journal) = changed(statement).await;
        let error = read_events(&journal, id(3)).await.expect_err(statement);
        assert_eq!(reason(error), expected, "{statement}");
        read_events(&journal, id(2)).await.expect("it harms no other");
    }
    for (statement, expected) in [
        ("UPDATE details SET body = x'00' WHERE batch = 3 AND square = 5", Damage::Checksum(Stored::Detail(Index(5)))),
        ("UPDATE details SET lap = 2 WHERE batch = 3 AND square = 5", Damage::Checksum(Stored::Detail(Index(5)))),
        ("DELETE FROM details WHERE batch = 3 AND square = 5", Damage::Missing(Stored::Detail(Index(5)))),
        ("DELETE FROM details WHERE batch = 3", Damage::Missing(Stored::Detail(Index(3)))),
        ("DELETE FROM detail_sets WHERE batch = 3", Damage::Missing(Stored::DetailSet(Index(3)))),
    ] {
        let (_folder, journal) = changed(statement).await;
        assert_eq!(reason(journal.details(id(3), 3..9).await.expect_err(statement)), expected, "{statement}");
    }
    for (statement, expected) in [
        ("UPDATE inputs SET body = x'00' WHERE batch = 3", Damage::Checksum(Stored::Input)),
        ("DELETE FROM inputs WHERE batch = 3", Damage::Missing(Stored::Input)),
    ] {
        let (_folder, journal) = changed(statement).await;
        assert_eq!(reason(journal.input(id(3)).await.expect_err(statement)), expected, "{statement}");
    }
    for statement in
        ["UPDATE receipts SET body = replace(body, '64', '63') WHERE batch = 3", "DELETE FROM receipts WHERE batch = 3"]
    {
        let (_folder, journal) = changed(statement).await;
        let found = journal.find(id(3)).await.expect("readable").expect("it is there");
        assert!(found.receipts.is_empty(), "they are derived from the events again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_row_causes_no_deletion() {
    let (_folder, journal) = changed("UPDATE batches SET concluded_at = 1 WHERE key = 3").await;
    let retention = Retention { age: Some(std::time::Duration::from_secs(3_600)), bytes: None };
    assert_eq!(journal.expired(retention, 0, 9).await.expect("readable"), []);
    assert!(matches!(journal.remove(id(3)).await, Err(JournalError::Damaged { .. })));
}
