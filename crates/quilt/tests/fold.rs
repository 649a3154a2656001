//! A quilt that is folded from duplicate events is the same, and each lap has one finish line.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use std::collections::BTreeMap;

use common::{config, fold, full_journal, journal, launched, one, retries_of_one, without_foresight};
use proptest::prelude::*;
use proptest::sample;
use quilt::{
    CancelCause, Change, Color, Control, Event, Halt, Index, LapLimits, LapSet, Outcome, Position, Quilt, Settlement,
    SquareState, Status, Step, Summary, Timestamp, Tolerance,
};

const ROWS: u16 = 3;
const COLUMNS: u16 = 5;
const TASKS: u32 = 15;

fn finish_lines(changes: &[Change]) -> usize {
    changes.iter().filter(|change| **change == Change::Finished).count()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn duplicate_events_change_nothing(
        journal in journal(TASKS),
        again in proptest::collection::vec(any::<(sample::Index, sample::Index)>(), 0..8),
    ) {
        let launched = launched(ROWS, COLUMNS, 1);
        let journal = without_foresight(&launched, journal);
        let mut delivered: Vec<(usize, Event)> = journal.iter().cloned().enumerate().collect();
        for (which, delay) in again {
            if journal.is_empty() {
                break;
            }
            let which = which.index(journal.len());
            let first = delivered.iter().position(|(number, _)| *number == which).expect("every event is there");
            let place = first + 1 + delay.index(delivered.len() - first);
            delivered.insert(place, (which, journal[which].clone()));
        }
        let delivered: Vec<Event> = delivered.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(fold(&launched, &delivered), fold(&launched, &journal));
    }

    #[test]
    fn each_lap_has_at_most_one_finish_line_and_a_finished_batch_exactly_one(journal in journal(TASKS)) {
        let launched = launched(ROWS, COLUMNS, 2);
        let (quilt, changes) = fold(&launched, &journal);
        // Each lap ends, by its finish line or a cancellation, before the next one starts.
        let ends = |end| changes.iter().filter(|change| **change == end).count();
        let laps = quilt.lap_number() as usize;
        prop_assert_eq!(ends(Change::Finished) + ends(Change::Cancelled), if quilt.status().is_over() { laps } else { laps - 1 });
        prop_assert_eq!(ends(Change::LapStarted), laps - 1);
        let order = changes.iter().filter(|change| matches!(change, Change::Finished | Change::Cancelled | Change::LapStarted));
        prop_assert!(order.enumerate().all(|(place, change)| (*change == Change::LapStarted) == (place % 2 == 1)));
        prop_assert_eq!(quilt.progress().pending() == 0, quilt.lap().end.is_some());
    }

    #[test]
    fn the_counts_are_those_of_the_squares(journal in journal(TASKS)) {
        let (quilt, changes) = fold(&launched(ROWS, COLUMNS, 3), &journal);
        let squares: Vec<SquareState<'_>> = (0..TASKS).map(|index| quilt.square(Index(index))).collect();
        let count = |wanted: fn(&SquareState<'_>) -> bool| squares.iter().filter(|state| wanted(state)).count() as u32;
        prop_assert_eq!(quilt.progress().done, count(|state| matches!(state, SquareState::Done(_))));
        prop_assert_eq!(quilt.progress().failed, count(|state| matches!(state, SquareState::Failed(_))));
        prop_assert_eq!(quilt.progress().not_run, count(|state| matches!(state, SquareState::NotRun)));
        prop_assert_eq!(quilt.progress().pending(), count(|state| matches!(state, SquareState::Pending)));
        let of_reasons: BTreeMap<&str, u32> = quilt.reasons().collect();
        let mut expected = BTreeMap::new();
        for square in &squares {
            if let SquareState::Failed(reason) = square {
                *expected.entry(*reason).or_insert(0) += 1;
            }
        }
        prop_assert_eq!(of_reasons, expected);
        prop_assert_eq!(quilt.step(), Step(changes.len() as u64));
    }
}

#[test]
fn a_real_journal_delivered_twice_over_has_the_same_laps_and_finish_lines() {
    let launched = launched(ROWS, COLUMNS, 5);
    let journal = full_journal(TASKS, 3);
    let (expected, changes) = fold(&launched, &journal);
    assert_eq!(finish_lines(&changes), 3);
    assert_eq!(expected.lap_number(), 3);
    assert_eq!(expected.progress().done, TASKS);
    let doubled: Vec<Event> = journal.iter().flat_map(|event| [event.clone(), event.clone()]).collect();
    assert_eq!(fold(&launched, &doubled), (expected.clone(), changes.clone()));
    let replayed: Vec<Event> = journal.iter().chain(&journal).cloned().collect();
    assert_eq!(fold(&launched, &replayed), (expected, changes));
}

#[test]
fn a_late_outcome_of_an_earlier_lap_does_not_settle_a_pending_square() {
    let launched = launched(1, 2, 6);
    let journal = full_journal(2, 2);
    // Duplicates of the outcomes of lap 1, after the start of lap 2.
    let late = [journal[0].clone(), journal[1].clone(), journal[0].clone()];
    let (quilt, _) = fold(&launched, &late);
    assert_eq!((quilt.lap_number(), quilt.progress().pending()), (2, 1));
}

#[test]
fn the_summary_of_a_launch_equals_that_of_its_quilt() {
    let launched = launched(ROWS, COLUMNS, 8);
    assert_eq!(Summary::of_launch(launched.clone()), Quilt::new(launched).summary());
}

#[test]
fn a_batch_is_cancelled_by_the_failure_after_those_it_tolerates() {
    let mut launched = launched(2, 5, 9);
    launched.spec.tolerated_failures = Some(Tolerance::Share(0.2));
    let failed = |positions: std::ops::Range<u32>| Event::Settled {
        lap: 1,
        at: Timestamp(2_000),
        settlements: positions
            .map(|position| Settlement { position: Position(position), outcome: Outcome::Failed("no".into()) })
            .collect(),
    };
    let (quilt, _) = fold(&launched, &[failed(0..2)]);
    assert_eq!(quilt.status(), Status::Running);
    let mut rounded = common::launched(10, 10, 9);
    rounded.spec.tolerated_failures = Some(Tolerance::Share(0.29));
    assert_eq!(fold(&rounded, &[failed(0..29)]).0.status(), Status::Running);
    assert_eq!(fold(&rounded, &[failed(0..30)]).0.status(), Status::Cancelled);
    let (quilt, changes) = fold(&launched, &[failed(0..2), failed(2..9)]);
    assert_eq!((quilt.status(), quilt.progress().failed), (Status::Cancelled, 3));
    assert_eq!(quilt.summary().cancelled_because, Some(CancelCause::Failures));
    assert_eq!(changes.iter().filter(|change| **change == Change::Cancelled).count(), 1);
}

#[test]
fn of_concurrent_controls_the_first_one_wins() {
    let control = |number, control| Event::Controlled { lap: 1, number, at: Timestamp(2_000), control };
    let launched = launched(ROWS, COLUMNS, 10);
    let journal = [
        control(1, Control::Pause),
        control(1, Control::SetConcurrency(Some(3))),
        control(2, Control::Pause),
        control(3, Control::Resume),
        control(2, Control::SetConcurrency(Some(5))),
        control(2, Control::Resume),
        control(1, Control::Pause),
    ];
    let statuses = (0..=journal.len()).map(|length| fold(&launched, &journal[..length]).0.status());
    let (running, paused) = (Status::Running, Status::Paused);
    assert_eq!(statuses.collect::<Vec<_>>(), [running, paused, paused, paused, paused, paused, paused, paused]);
    let (quilt, changes) = fold(&launched, &journal);
    assert_eq!((quilt.limits().concurrency, quilt.controls()), (Some(5), 2));
    assert_eq!(changes.len(), 2);
}

#[test]
fn running_tasks_of_a_paused_batch_settle_and_can_cross_the_finish_line() {
    let launched = launched(ROWS, COLUMNS, 11);
    let pause = Event::Controlled { lap: 1, number: 1, at: Timestamp(1_500), control: Control::Pause };
    let mut journal = full_journal(TASKS, 2);
    journal.insert(0, pause);
    let finish = journal.iter().position(|event| matches!(event, Event::LapStarted { .. })).expect("two laps");
    assert_eq!(fold(&launched, &journal[..finish]).0.status(), Status::Finished);
    assert_eq!(fold(&launched, &journal[..=finish]).0.status(), Status::Running);
    assert_eq!(fold(&launched, &journal).0.status(), Status::Finished);
}

#[test]
fn a_retry_of_one_square_leaves_the_others_as_they_are() {
    let launched = launched(ROWS, COLUMNS, 13);
    let journal = retries_of_one(TASKS);
    let first = journal.len() - 6;
    let at = |length| fold(&launched, &journal[..length]).0;
    let counts = |quilt: &Quilt| (quilt.lap().tasks, quilt.progress().done, quilt.progress().failed);
    assert_eq!((at(first).status(), counts(&at(first))), (Status::Finished, (15, 7, 8)));
    let running = at(first + 1);
    assert_eq!((running.status(), counts(&running)), (Status::Running, (1, 7, 7)));
    assert_eq!(running.pending_in(Position(0)..Position(TASKS)).collect::<Vec<_>>(), [Position(4)]);
    let retried = at(first + 2);
    assert_eq!((retried.status(), counts(&retried)), (Status::Finished, (1, 8, 7)));
    assert_eq!(retried.lap().finish().map(|finish| finish.last_across), Some(retried.order().index(Position(4))));
    assert_eq!(counts(&at(first + 4)), (1, 8, 7));
    assert_eq!(counts(&at(first + 6)), (7, 15, 0));
    assert_eq!(finish_lines(&fold(&launched, &journal).1), 4);
    // Done squares, and positions outside the grid, do not run again.
    for position in [1, 4, TASKS, u32::MAX] {
        let set = one(position);
        let mut quilt = retried.clone();
        quilt.apply(&Event::LapStarted { lap: 3, at: Timestamp(9), set, limits: None }, &mut Vec::new());
        assert_eq!(quilt, retried, "{position}");
    }
}

#[test]
fn nothing_settles_after_a_cancellation() {
    let launched = launched(ROWS, COLUMNS, 7);
    let mut journal = full_journal(TASKS, 1);
    journal.insert(1, Event::Cancelled { lap: 1, at: Timestamp(2_000), cause: CancelCause::Asked });
    let (quilt, changes) = fold(&launched, &journal);
    assert_eq!(quilt.status(), Status::Cancelled);
    assert_eq!(quilt.progress().settled(), 7);
    assert_eq!(finish_lines(&changes), 0);
}

fn outcome_at(lap: u32, position: u32, outcome: Outcome) -> Event {
    let settlements = vec![Settlement { position: Position(position), outcome }];
    Event::Settled { lap, at: Timestamp(3_000), settlements }
}

fn failed(lap: u32, position: u32, reason: &str) -> Event {
    outcome_at(lap, position, Outcome::Failed(reason.into()))
}

fn done(lap: u32, position: u32) -> Event {
    outcome_at(lap, position, Outcome::Done(Color::from_rgb(position)))
}

fn lap_of(lap: u32, set: LapSet) -> Event {
    Event::LapStarted { lap, at: Timestamp(4_000), set, limits: None }
}

fn cancelled(lap: u32) -> Event {
    Event::Cancelled { lap, at: Timestamp(3_500), cause: CancelCause::Asked }
}

/// The states of a quilt of four squares, by position.
fn states(quilt: &Quilt) -> [&'static str; 4] {
    [0, 1, 2, 3].map(|position| match quilt.at(Position(position)) {
        SquareState::Pending => "pending",
        SquareState::Done(_) => "done",
        SquareState::Failed(_) => "failed",
        SquareState::NotRun => "not run",
    })
}

#[test]
fn a_lap_runs_its_set_and_nothing_else() {
    let launched = launched(2, 2, 16);
    // Two failures with different reasons, a done square, and one that was not run.
    let stopped = [failed(1, 0, "timed out"), failed(1, 1, "exit status 7"), done(1, 2), cancelled(1)];
    let quilt = fold(&launched, &stopped).0;
    assert_eq!(states(&quilt), ["failed", "failed", "done", "not run"]);
    assert_eq!((quilt.progress().pending(), quilt.progress().not_run), (0, 1));
    for (set, expected) in [
        (LapSet::Failed, ["pending", "pending", "done", "not run"]),
        (LapSet::Reason("exit status 7".into()), ["failed", "pending", "done", "not run"]),
        (LapSet::NotRun, ["failed", "failed", "done", "pending"]),
        (LapSet::Positions([3, 2, 0, 9].map(Position).into_iter().collect()), ["pending", "failed", "done", "pending"]),
    ] {
        let mut quilt = quilt.clone();
        quilt.apply(&lap_of(2, set.clone()), &mut Vec::new());
        assert_eq!(states(&quilt), expected, "{set:?}");
        assert_eq!(quilt.lap().tasks as usize, expected.iter().filter(|state| **state == "pending").count(), "{set:?}");
        assert_eq!(quilt.status(), Status::Running, "{set:?}");
        // The squares of the set cross the finish line.
        for position in 0..4 {
            quilt.apply(&done(2, position), &mut Vec::new());
        }
        assert_eq!(quilt.status(), Status::Finished, "{set:?}");
        assert_eq!(quilt.progress().not_run, u32::from(expected[3] == "not run"), "{set:?}");
    }
    for set in [LapSet::Reason("no such host".into()), one(2), one(7)] {
        assert!(!quilt.can_start_lap(&set), "{set:?}");
    }
}

#[test]
fn a_lap_has_the_limits_that_it_was_started_with_and_the_next_one_the_same() {
    let launched = launched(2, 2, 17);
    let limits = LapLimits { attempts: 7, timeout_ms: 5, concurrency: Some(2), deadline_ms: Some(9) };
    let with_limits = Event::LapStarted { lap: 2, at: Timestamp(4_000), set: LapSet::NotRun, limits: Some(limits) };
    let journal = [cancelled(1), with_limits, cancelled(2), lap_of(3, LapSet::NotRun)];
    assert_eq!(fold(&launched, &journal[..1]).0.limits(), LapLimits::from(&launched.spec));
    let quilt = fold(&launched, &journal).0;
    assert_eq!((quilt.lap_number(), quilt.limits()), (3, limits));
    let summary = quilt.summary();
    assert_eq!((summary.spec.attempts, summary.spec.timeout_ms, summary.concurrency), (7, 5, Some(2)));
}

#[test]
fn outcomes_count_while_a_lap_drains_and_not_once_it_is_stopped() {
    let launched = launched(2, 2, 18);
    let draining = Event::Draining { lap: 1, at: Timestamp(2_000), cause: CancelCause::Asked };
    let journal = [done(1, 0), draining.clone(), done(1, 1), cancelled(1), done(1, 2)];
    let drained = fold(&launched, &journal[..3]).0;
    assert_eq!((drained.status(), states(&drained)), (Status::Draining, ["done", "done", "pending", "pending"]));
    assert!(!drained.can_control(Control::Pause) && !drained.can_start_lap(&LapSet::NotRun));
    let stopped = fold(&launched, &journal).0;
    assert_eq!((stopped.status(), states(&stopped)), (Status::Cancelled, ["done", "done", "not run", "not run"]));
    // If all remaining tasks were running, the lap crosses its finish line.
    let all = [draining, done(1, 0), done(1, 1), done(1, 2), done(1, 3), cancelled(1)];
    let finished = fold(&launched, &all).0;
    assert_eq!((finished.status(), finished.summary().cancelled_because), (Status::Finished, None));
}

#[test]
fn a_number_of_failures_halts_a_batch_now_or_soon() {
    let mut launched = launched(2, 2, 19);
    launched.spec.tolerated_failures = Some(Tolerance::Count(1));
    let journal = [failed(1, 0, "a"), failed(1, 1, "a"), done(1, 2)];
    let now = fold(&launched, &journal).0;
    assert_eq!((now.status(), states(&now)), (Status::Cancelled, ["failed", "failed", "not run", "not run"]));
    launched.spec.halt = Halt::Soon;
    let soon = fold(&launched, &journal).0;
    assert_eq!((soon.status(), states(&soon)), (Status::Draining, ["failed", "failed", "done", "pending"]));
    assert_eq!(soon.summary().cancelled_because, Some(CancelCause::Failures));
}

#[test]
fn reasons_are_truncated_distinguished_and_counted() {
    let launched = launched(64, 64, 20);
    let reason = |position: u32| format!("{position:04} {}", "é".repeat(60));
    let settlements = (0..4_096).map(|position| Settlement {
        position: Position(position),
        outcome: Outcome::Failed(reason(position % 2_000).into()),
    });
    let quilt = fold(&launched, &[Event::Settled { lap: 1, at: Timestamp(1), settlements: settlements.collect() }]).0;
    let counted: Vec<(&str, u32)> = quilt.reasons().collect();
    assert_eq!(counted.len(), 2_000);
    assert_eq!(counted.iter().map(|(_, count)| count).sum::<u32>(), 4_096);
    // Cut between characters, at 64 bytes or less.
    assert_eq!(counted[0], (format!("0000 {}", "é".repeat(29)).as_str(), 3));
    let mut again = quilt.clone();
    again.apply(&lap_of(2, LapSet::Reason(counted[0].0.into())), &mut Vec::new());
    assert_eq!((again.lap().tasks, again.reasons().count()), (3, 1_999));
}
