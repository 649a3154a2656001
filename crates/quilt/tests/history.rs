//! A history returns the events that take any reader to the current quilt.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::{config, full_journal, journal, launched, retries_of_one};
use proptest::prelude::*;
use proptest::sample;
use quilt::history::Entry;
use quilt::{Event, Halt, History, LapSet, Launched, Outcome, Position, Quilt, Settlement, Step, Timestamp, Tolerance};

const ROWS: u16 = 3;
const COLUMNS: u16 = 5;
const TASKS: u32 = 15;

fn fold_with_history(launched: &Launched, events: &[Event]) -> (Quilt, History) {
    let mut quilt = Quilt::new(launched.clone());
    let mut history = History::new(&quilt);
    for event in events {
        let mut changes = Vec::new();
        quilt.apply(event, &mut changes);
        history.record(&quilt, event, &changes);
    }
    (quilt, history)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_reader_that_catches_up_from_any_step_has_the_same_quilt(
        journal in journal(TASKS),
        stop in any::<sample::Index>(),
        tolerated in proptest::option::of(prop_oneof![
            (0.0..0.5).prop_map(Tolerance::Share),
            (0_u32..6).prop_map(Tolerance::Count),
        ]),
        halt in sample::select(vec![Halt::Now, Halt::Soon]),
    ) {
        let mut launched = launched(ROWS, COLUMNS, 4);
        launched.spec.tolerated_failures = tolerated;
        launched.spec.halt = halt;
        let mut quilt = Quilt::new(launched.clone());
        let mut history = History::new(&quilt);
        let mut reader = Quilt::new(launched.clone());
        let stop = stop.index(journal.len() + 1);
        for (number, event) in journal.iter().enumerate() {
            let mut changes = Vec::new();
            quilt.apply(event, &mut changes);
            history.record(&quilt, event, &changes);
            if number < stop {
                reader.apply(event, &mut Vec::new());
            }
        }
        prop_assert_eq!(history.step(), quilt.step());
        let mut changes = Vec::new();
        let behind = reader.step();
        for event in history.events(&quilt, behind, quilt.step()) {
            reader.apply(&event, &mut changes);
        }
        prop_assert_eq!(&reader, &quilt);
        prop_assert_eq!(changes.len(), history.entries(&quilt, behind).count());
    }
}

#[test]
fn a_history_discards_old_laps_and_does_not_reach_them() {
    let launched = launched(64, 64, 12);
    let tasks = launched.spec.grid.squares();
    let mut quilt = Quilt::new(launched);
    let mut history = History::new(&quilt);
    let mut reader = None;
    for lap in 1..=6 {
        let outcome = || Outcome::Failed("again".into());
        let all = (0..tasks).map(|position| Settlement { position: Position(position), outcome: outcome() }).collect();
        let at = Timestamp(lap);
        let lap = lap as u32;
        for event in [
            Event::LapStarted { lap, at, set: LapSet::Failed, limits: None },
            Event::Settled { lap, at, settlements: all },
        ] {
            let mut changes = Vec::new();
            quilt.apply(&event, &mut changes);
            history.record(&quilt, &event, &changes);
            if lap == 6 && reader.is_none() {
                reader = Some(quilt.clone());
            }
        }
    }
    assert_eq!((quilt.lap_number(), history.step()), (6, quilt.step()));
    assert!(!history.reaches(Step(0)) && !history.reaches(Step(u64::from(tasks))));
    let mut reader = reader.expect("there is a sixth lap");
    assert!(history.reaches(reader.step()));
    for event in history.events(&quilt, reader.step(), quilt.step()) {
        reader.apply(&event, &mut Vec::new());
    }
    assert_eq!(reader, quilt);
}

#[test]
fn a_history_has_the_counts_at_the_end_of_each_lap_of_one_square() {
    let (quilt, history) = fold_with_history(&launched(ROWS, COLUMNS, 15), &retries_of_one(TASKS));
    let failed: Vec<u32> = history
        .entries(&quilt, Step(0))
        .filter_map(|(_, entry)| match entry {
            Entry::Finished(progress) => Some(progress.failed),
            _ => None,
        })
        .collect();
    assert_eq!(failed, [8, 7, 7, 0]);
}

#[test]
fn a_reader_that_gets_small_batches_is_at_the_end_of_each() {
    read_in_small_batches(&full_journal(16, 3));
    read_in_small_batches(&retries_of_one(16));
}

fn read_in_small_batches(journal: &[Event]) {
    let launched = launched(4, 4, 1);
    let (quilt, history) = fold_with_history(&launched, journal);
    for most in 1..40 {
        let mut reader = Quilt::new(launched.clone());
        while reader.step() < quilt.step() {
            let upto = history.reach(reader.step(), most);
            for event in history.events(&quilt, reader.step(), upto) {
                reader.apply(&event, &mut Vec::new());
            }
            assert_eq!(reader.step(), upto, "{most} at a time");
        }
        assert_eq!(reader.progress(), quilt.progress());
        assert_eq!(reader.status(), quilt.status());
    }
}
