//! Files of every schema version, with data from a released program, are migrated and keep their data.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use futures::StreamExt;
use quilt::wire::{FramedEvent, put_framed_event};
use quilt::{BatchId, Status};
use rusqlite::Connection;
use tempfile::TempDir;

use super::SqliteJournal;
use super::schema::MIGRATIONS;
use crate::journal::{Catalog, EventLog, Journal, Offset};

/// The batches of the golden file by the names of their journals, and their final statuses.
const BATCHES: [(&str, Status); 5] = [
    ("done", Status::Finished),
    ("retried", Status::Finished),
    ("cancelled", Status::Cancelled),
    ("deadline", Status::Cancelled),
    ("halted", Status::Cancelled),
];

fn golden_journal(name: &str) -> (BatchId, Vec<u8>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../quilt/tests/golden/1");
    let told = std::fs::read(folder.join(name).with_extension("json")).expect("a file");
    let told: serde_json::Value = serde_json::from_slice(&told).expect("JSON");
    let id = told["batch"]["id"].as_str().expect("an id").parse().expect("an id");
    (id, std::fs::read(folder.join(name).with_extension("journal")).expect("a file"))
}

/// Creates a file with the first `version` migrations applied, and the data of the golden file in the columns that exist in that version.
fn file_of_version(folder: &TempDir, version: usize) -> PathBuf {
    let path = folder.path().join(format!("version-{version}.db"));
    let file = Connection::open(&path).expect("a fresh file");
    file.pragma_update(None, "journal_mode", "wal").expect("writable");
    MIGRATIONS[..version].iter().for_each(|migration| file.execute_batch(migration).expect("valid"));
    file.pragma_update(None, "user_version", version as i64).expect("writable");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../server/tests/golden/schema-3/quilt.db");
    // A copy, because even a reader may create files next to it.
    let copy = folder.path().join("golden.db");
    std::fs::copy(golden, &copy).expect("a copy");
    file.execute("ATTACH ?1 AS golden", [copy.to_str().expect("UTF-8")]).expect("readable");
    let columns = |schema: &str, table: &str| -> Vec<String> {
        let mut statement = file.prepare("SELECT name FROM pragma_table_info(?1, ?2)").expect("valid");
        statement
            .query_map([table, schema], |row| row.get(0))
            .expect("valid")
            .map(|name| name.expect("a name"))
            .collect()
    };
    for table in ["batches", "events", "receipts", "inputs", "details"] {
        let known = columns("main", table);
        let shared: Vec<String> = columns("golden", table).into_iter().filter(|name| known.contains(name)).collect();
        if !shared.is_empty() {
            let names = shared.join(", ");
            file.execute_batch(&format!("INSERT INTO main.{table} ({names}) SELECT {names} FROM golden.{table}"))
                .expect("writable");
        }
    }
    path
}

#[tokio::test]
async fn files_of_every_version_are_brought_up_and_keep_what_they_hold() {
    for version in 1..=MIGRATIONS.len() {
        let folder = TempDir::new().expect("a folder");
        let journal = SqliteJournal::open(&file_of_version(&folder, version)).expect("it is brought up");
        for (name, status) in BATCHES {
            let (id, expected) = golden_journal(name);
            let mut pages = journal.follow(id, Offset::default());
            let mut events = Vec::new();
            loop {
                let page = pages.next().await.expect("it goes on").expect("readable");
                page.events.iter().for_each(|event| put_framed_event(&mut events, event));
                if page.caught_up {
                    break;
                }
            }
            assert!(events == expected, "{name} of version {version}");
            assert!(FramedEvent::take(&mut events.as_slice()).expect("whole").is_some());
            let found = journal.find(id).await.expect("readable").expect("it is there");
            assert!(found.is_finalized, "{name} of version {version}");
            let listed = journal.list(found.owner, None, 10).await.expect("readable");
            let final_summary =
                listed.into_iter().find(|listed| listed.batch == id).and_then(|listed| listed.final_summary);
            assert_eq!(final_summary.map(|summary| summary.status), Some(status), "{name} of version {version}");
        }
        journal.close().await;
    }
}
