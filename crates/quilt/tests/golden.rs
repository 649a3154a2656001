//! Journals of released versions fold to the results of those versions.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use quilt::wire::{FramedEvent, put_framed_event};
use quilt::{Event, Index, LapSet, LapStats, Quilt, SquareState, Timestamp};
use serde_json::Value;

/// All journals of all versions.
fn journals() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let versions = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable").path());
    let files = versions.filter(|path| path.is_dir()).flat_map(|version| std::fs::read_dir(version).expect("a folder"));
    let mut journals: Vec<PathBuf> = files
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "journal"))
        .collect();
    journals.sort();
    assert!(journals.len() >= 6, "{journals:?}");
    journals
}

fn fold(journal: &Path) -> (Quilt, LapStats) {
    let bytes = std::fs::read(journal).expect("a file");
    let mut rest = bytes.as_slice();
    let mut next = || FramedEvent::take(&mut rest).expect("whole").map(|event| event.decode().expect("known"));
    let Some(Event::Launched(launched)) = next() else { panic!("{} does not begin with a launch", journal.display()) };
    let (mut quilt, mut stats) = (Quilt::new(launched), LapStats::default());
    while let Some(event) = next() {
        let mut changes = Vec::new();
        quilt.apply(&event, &mut changes);
        stats.apply(&quilt, &event, &changes);
    }
    (quilt, stats)
}

fn told(journal: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(journal.with_extension("json")).expect("a file")).expect("JSON")
}

/// Parses a time of the API, in milliseconds.
fn millis(time: &Value) -> Timestamp {
    let time =
        time::OffsetDateTime::parse(time.as_str().expect("a time"), &time::format_description::well_known::Rfc3339);
    Timestamp((time.expect("RFC 3339").unix_timestamp_nanos() / 1_000_000) as u64)
}

#[test]
fn a_journal_of_any_version_folds_to_what_was_told_of_it() {
    for journal in journals() {
        let name = journal.display();
        let (quilt, _) = fold(&journal);
        let (summary, told) = (quilt.summary(), told(&journal)["batch"].clone());
        let numbers = [summary.lap, summary.progress.tasks, summary.progress.done, summary.progress.failed];
        assert_eq!(numbers.map(Value::from), ["lap", "tasks", "done", "failed"].map(|key| told[key].clone()), "{name}");
        assert_eq!(serde_json::to_value(summary.status).expect("a name"), told["status"], "{name}");
        assert_eq!(
            serde_json::to_value(summary.cancelled_because).expect("a name"),
            told["cancelled_because"],
            "{name}"
        );
        assert_eq!(serde_json::to_value(summary.last_across).expect("a square"), told["last_across"], "{name}");
        assert_eq!(summary.created_at, millis(&told["created_at"]), "{name}");
        assert_eq!(summary.started_at, millis(&told["started_at"]), "{name}");
        let end = if told["finished_at"].is_null() { &told["cancelled_at"] } else { &told["finished_at"] };
        assert_eq!(summary.ended_at, Some(millis(end)), "{name}");
    }
}

#[test]
fn receipts_of_any_version_are_written_again_as_they_were() {
    for journal in journals() {
        let name = journal.display();
        let (_, stats) = fold(&journal);
        let told = told(&journal)["receipts"].as_array().expect("receipts").clone();
        assert_eq!(stats.receipts().len(), told.len(), "{name}");
        for (ours, theirs) in stats.receipts().iter().zip(told) {
            for (key, ours) in serde_json::to_value(ours).expect("JSON").as_object().expect("an object") {
                // Members that the first version did not return.
                let (rule, not_run) = (Value::from(1), Value::from(0));
                let theirs = match key.as_str() {
                    "digest_rule" => theirs.get(key).unwrap_or(&rule),
                    "not_run" => theirs.get(key).unwrap_or(&not_run),
                    _ => &theirs[key],
                };
                if key.ends_with("_at") {
                    assert_eq!(ours.as_u64().map(Timestamp), Some(millis(theirs)), "{key} in {name}");
                } else {
                    assert_eq!(ours, theirs, "{key} in {name}");
                }
            }
        }
    }
}

#[test]
fn events_of_any_version_are_written_again_as_they_were() {
    for journal in journals() {
        let bytes = std::fs::read(&journal).expect("a file");
        let (mut rest, mut written) = (bytes.as_slice(), Vec::new());
        while let Some(event) = FramedEvent::take(&mut rest).expect("whole") {
            put_framed_event(&mut written, &event.decode().expect("known"));
        }
        assert!(written == bytes, "{}", journal.display());
    }
}

#[test]
fn squares_of_any_version_have_the_outcomes_that_were_told() {
    for journal in journals() {
        let Ok(results) = std::fs::read_to_string(journal.with_extension("results")) else { continue };
        let name = journal.display();
        let (quilt, _) = fold(&journal);
        assert_eq!(results.lines().count(), quilt.progress().tasks as usize, "{name}");
        for (index, line) in results.lines().enumerate() {
            let told: Value = serde_json::from_str(line).expect("JSON");
            let (state, color, failed) = match quilt.square(Index(index as u32)) {
                // The first version did not distinguish the two.
                SquareState::Pending | SquareState::NotRun => ("pending", None, None),
                SquareState::Done(color) => ("done", Some(color.to_string()), None),
                SquareState::Failed(reason) => ("failed", None, Some(reason)),
            };
            assert_eq!(told["state"], state, "square {index} of {name}");
            assert_eq!(told["color"].as_str(), color.as_deref(), "square {index} of {name}");
            assert_eq!(told["failed"].as_str(), failed, "square {index} of {name}");
        }
    }
}

#[test]
fn a_stopped_batch_of_the_first_version_can_go_on() {
    let stopped = journals().into_iter().find(|path| path.ends_with("1/cancelled.journal")).expect("it is there");
    let (mut quilt, _) = fold(&stopped);
    let not_run = quilt.progress().not_run;
    assert!(not_run > 0);
    let lap = quilt.lap_number() + 1;
    let started = Event::LapStarted { lap, at: Timestamp(1), set: LapSet::NotRun, limits: Some(quilt.limits()) };
    quilt.apply(&started, &mut Vec::new());
    assert_eq!((quilt.lap_number(), quilt.progress().pending(), quilt.progress().not_run), (lap, not_run, 0));
}

#[test]
fn the_first_version_tells_1024_reasons_apart() {
    let journal = journals().into_iter().find(|path| path.ends_with("1/many-reasons.journal")).expect("it is there");
    let (quilt, _) = fold(&journal);
    let reasons: Vec<_> = (0..1_500)
        .map(|index| match quilt.square(Index(index)) {
            SquareState::Failed(reason) => reason,
            other => panic!("square {index} is {other:?}"),
        })
        .collect();
    assert_eq!(reasons.iter().collect::<BTreeSet<_>>().len(), 1_024 + 1);
    assert_eq!(
        reasons.iter().filter(|reason| **reason == "failed for one of many further reasons").count(),
        1_500 - 1_024
    );
}
