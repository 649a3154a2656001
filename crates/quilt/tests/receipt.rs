//! The receipt of a lap is derived from its journal.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{config, event, full_journal, launched, without_foresight};
use proptest::prelude::*;
use quilt::wire::{decode_event, encode_event};
use quilt::{
    AttemptRun, CancelCause, Change, Color, Event, Index, LapSet, LapStats, Launched, Outcome, Position, Quilt,
    Receipt, Settlement, Timestamp,
};
use sha2::{Digest, Sha256};

fn fold(launched: &Launched, events: &[Event]) -> (Quilt, LapStats) {
    let mut quilt = Quilt::new(launched.clone());
    let mut stats = LapStats::default();
    for event in events {
        let mut changes = Vec::new();
        quilt.apply(event, &mut changes);
        stats.apply(&quilt, event, &changes);
    }
    (quilt, stats)
}

fn run(first: u32, count: u32, number: u8, took_ms: u32, error: Option<&str>) -> AttemptRun {
    let started_at = Timestamp(5_000);
    AttemptRun { first: Position(first), count, number, started_at, took_ms, error: error.map(Into::into) }
}

fn attempted(worker: &str, runs: Vec<AttemptRun>) -> Event {
    Event::Attempted { lap: 1, worker: worker.into(), runs }
}

fn settled(outcomes: impl IntoIterator<Item = (u32, Outcome)>) -> Event {
    let settlement = |(position, outcome)| Settlement { position: Position(position), outcome };
    Event::Settled { lap: 1, at: Timestamp(6_000), settlements: outcomes.into_iter().map(settlement).collect() }
}

fn green() -> Outcome {
    Outcome::Done(Color::from_rgb(0x0000_FF00))
}

#[test]
fn a_receipt_tells_the_counts_the_last_one_across_and_the_slowest() {
    let launched = launched(2, 2, 3);
    let journal = [
        attempted("w1", vec![run(0, 2, 1, 7, None), run(2, 2, 1, 0, Some("no"))]),
        settled([(0, green()), (1, green())]),
        attempted("w2", vec![run(3, 1, 2, 30, Some("never")), run(2, 1, 2, 9, None)]),
        settled([(3, Outcome::Failed("never".into())), (2, green())]),
    ];
    let (before, stats) = fold(&launched, &journal[..2]);
    assert_eq!(stats.receipts(), []);
    let attempts: Vec<u8> = (0..4).map(|position| stats.failed_attempts(Position(position))).collect();
    assert_eq!((attempts, before.progress().pending()), (vec![0, 0, 1, 1], 2));

    let (quilt, stats) = fold(&launched, &journal);
    let square = |position| quilt.grid().square(quilt.order().index(Position(position)));
    let [receipt] = stats.receipts() else { panic!("one finish line") };
    assert_eq!((receipt.lap, receipt.attempts), (1, 6));
    assert_eq!((receipt.tasks, receipt.done, receipt.failed), (4, 3, 1));
    assert_eq!((receipt.started_at, receipt.finished_at), (Timestamp(1_000), Timestamp(6_000)));
    let last = &receipt.last_across;
    assert_eq!((last.square, last.worker.as_deref(), last.attempt), (square(2), Some("w2"), Some(2)));
    let slowest: Vec<_> = receipt.slowest.iter().map(|slow| (slow.square, slow.took_ms, &*slow.worker)).collect();
    assert_eq!(slowest, [(square(3), 30, "w2"), (square(2), 9, "w2"), (square(0), 7, "w1"), (square(1), 7, "w1")]);

    // The digest according to its documentation.
    let mut hash = Sha256::new();
    for index in 0..4 {
        match quilt.order().position(Index(index)).0 {
            3 => hash.update([&[2, 0, 0, 0, 5][..], b"never"].concat()),
            _ => hash.update([1, 0, 0xFF, 0]),
        }
    }
    let expected: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(receipt.outcomes_sha256, expected);
}

#[test]
fn two_runs_with_the_same_outcomes_have_the_same_digest_in_whatever_order_they_came() {
    let launched = launched(2, 3, 4);
    let outcome = |position: u32| {
        if position == 4 { Outcome::Failed("four".into()) } else { Outcome::Done(Color::from_rgb(position)) }
    };
    let digest = |positions: [u32; 6]| {
        let (_, stats) = fold(&launched, &positions.map(|position| settled([(position, outcome(position))])));
        let [Receipt { outcomes_sha256, .. }] = stats.receipts() else { panic!("one finish line") };
        outcomes_sha256.clone()
    };
    assert_eq!(digest([0, 1, 2, 3, 4, 5]), digest([5, 4, 2, 0, 1, 3]));
}

/// The laps that crossed their finish lines.
fn finished_laps(launched: &Launched, events: &[Event]) -> Vec<u32> {
    let mut quilt = Quilt::new(launched.clone());
    let mut finished = Vec::new();
    for event in events {
        let mut changes = Vec::new();
        quilt.apply(event, &mut changes);
        finished.extend(changes.contains(&Change::Finished).then(|| quilt.lap_number()));
    }
    finished
}

#[test]
fn squares_that_are_not_run_stand_in_the_receipt() {
    let launched = launched(1, 3, 5);
    let cancelled = Event::Cancelled { lap: 1, at: Timestamp(2_000), cause: CancelCause::Asked };
    let lap = Event::LapStarted { lap: 2, at: Timestamp(3_000), set: LapSet::Failed, limits: None };
    let again = match settled([(0, green())]) {
        Event::Settled { at, settlements, .. } => Event::Settled { lap: 2, at, settlements },
        other => other,
    };
    let (quilt, stats) = fold(&launched, &[settled([(0, Outcome::Failed("no".into()))]), cancelled, lap, again]);
    let [receipt] = stats.receipts() else { panic!("one finish line") };
    assert_eq!((receipt.lap, receipt.lap_tasks, receipt.done, receipt.failed, receipt.not_run), (2, 1, 1, 0, 2));
    let expected = (0..3).flat_map(|index| match quilt.order().position(Index(index)).0 {
        0 => vec![1, 0, 0xFF, 0],
        _ => vec![3],
    });
    let digest = Sha256::digest(expected.collect::<Vec<u8>>());
    assert_eq!(receipt.outcomes_sha256, digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
}

#[test]
fn a_digest_of_many_reasons_does_not_depend_on_their_order() {
    let launched = launched(50, 40, 6);
    let outcome = |position: u32| (position, Outcome::Failed(format!("reason {position}").into()));
    let digest = |positions: &mut dyn Iterator<Item = u32>| {
        let (quilt, stats) = fold(&launched, &[settled(positions.map(outcome))]);
        assert_eq!(quilt.reasons().count(), 2_000);
        let [Receipt { outcomes_sha256, digest_rule: 2, .. }] = stats.receipts() else { panic!("one finish line") };
        outcomes_sha256.clone()
    };
    assert_eq!(digest(&mut (0..2_000)), digest(&mut (0..2_000).rev()));
}

#[test]
fn a_receipt_of_other_results_does_not_match() {
    let launched = launched(1, 2, 7);
    let journal = [settled([(0, green()), (1, green())])];
    let (quilt, stats) = fold(&launched, &journal);
    let forged = Receipt { outcomes_sha256: "00".repeat(32), ..stats.receipts()[0].clone() };
    let mut with_forged = LapStats::with_noted(vec![forged.clone()]);
    let mut changes = Vec::new();
    let mut folded = Quilt::new(launched);
    folded.apply(&journal[0], &mut changes);
    with_forged.apply(&folded, &journal[0], &changes);
    assert_eq!(with_forged.receipts(), [forged]);
    assert!(stats.matches(&quilt) && !with_forged.matches(&folded));
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_finish_line_has_one_receipt_and_it_reads_back(noise in proptest::collection::vec(event(15), 0..12), laps in 1_u32..4) {
        let launched = launched(3, 5, 1);
        let mut journal = noise;
        journal.extend(full_journal(15, laps));
        let journal = without_foresight(&launched, journal);
        let (quilt, stats) = fold(&launched, &journal);
        let numbers: Vec<u32> = stats.receipts().iter().map(|receipt| receipt.lap).collect();
        prop_assert_eq!(numbers, finished_laps(&launched, &journal));
        prop_assert!(stats.matches(&quilt));
        for receipt in stats.receipts() {
            let json = serde_json::to_string(receipt).expect("plain");
            prop_assert_eq!(&serde_json::from_str::<Receipt>(&json).expect("what was written"), receipt);
        }
        // Another reader of the same bytes derives the same receipts.
        let read: Vec<Event> = journal.iter().map(|event| decode_event(&encode_event(event)).expect("it was encoded")).collect();
        prop_assert_eq!(fold(&launched, &read).1, stats);
    }
}
