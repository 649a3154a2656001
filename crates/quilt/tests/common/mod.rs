//! Batches and journals for the tests.

#![allow(dead_code, reason = "each test file is a crate of its own and uses its share of this")]

use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use quilt::{
    AttemptRun, BatchSpec, CancelCause, Change, Color, Control, Event, Grid, LapLimits, LapSet, Launched, Outcome,
    Position, Quilt, Settlement, Timestamp, WorkSpec,
};

/// Failed cases are stored next to the test, and are run first the next time.
pub(crate) fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::WithSource("regressions"))),
        ..ProptestConfig::default()
    }
}

/// A batch of `rows * columns` tasks.
pub(crate) fn launched(rows: u16, columns: u16, seed: u64) -> Launched {
    let grid = Grid::new(rows, columns).expect("a small grid");
    let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
    Launched::new(BatchSpec::new(work, grid, seed), Timestamp(1_000))
}

/// Folds events, and returns the quilt with all changes.
pub(crate) fn fold(launched: &Launched, events: &[Event]) -> (Quilt, Vec<Change>) {
    let mut quilt = Quilt::new(launched.clone());
    let mut changes = Vec::new();
    for event in events {
        quilt.apply(event, &mut changes);
    }
    (quilt, changes)
}

pub(crate) fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => (0_u32..0x0100_0000).prop_map(|rgb| Outcome::Done(Color::from_rgb(rgb))),
        1 => "[a-z]{0,3}".prop_map(|reason| Outcome::Failed(reason.into())),
    ]
}

/// Any event, including invalid ones, for batches of about `tasks` tasks.
pub(crate) fn event(tasks: u32) -> impl Strategy<Value = Event> {
    let settlement =
        (0..tasks + 2, outcome()).prop_map(|(position, outcome)| Settlement { position: Position(position), outcome });
    let lap = 1_u32..4;
    let at = (1_000_u64..9_000).prop_map(Timestamp);
    prop_oneof![
        12 => (lap.clone(), at.clone(), proptest::collection::vec(settlement, 0..12))
            .prop_map(|(lap, at, settlements)| Event::Settled { lap, at, settlements }),
        2 => (lap.clone(), at.clone(), lap_set(tasks), proptest::option::of(limits()))
            .prop_map(|(lap, at, set, limits)| Event::LapStarted { lap, at, set, limits }),
        1 => (lap.clone(), at.clone(), cause()).prop_map(|(lap, at, cause)| Event::Draining { lap, at, cause }),
        1 => (lap.clone(), at.clone(), cause()).prop_map(|(lap, at, cause)| Event::Cancelled { lap, at, cause }),
        3 => (lap.clone(), 1_u32..4, at.clone(), control())
            .prop_map(|(lap, number, at, control)| Event::Controlled { lap, number, at, control }),
        3 => (lap, "[a-z]{0,3}", proptest::collection::vec(attempt_run(tasks), 0..4))
            .prop_map(|(lap, worker, runs)| Event::Attempted { lap, worker: worker.into(), runs }),
    ]
}

fn lap_set(tasks: u32) -> impl Strategy<Value = LapSet> {
    prop_oneof![
        2 => Just(LapSet::Failed),
        1 => Just(LapSet::NotRun),
        1 => "[a-z]{0,3}".prop_map(|reason| LapSet::Reason(reason.into())),
        2 => proptest::collection::vec((0..tasks + 2).prop_map(Position), 0..6)
            .prop_map(|positions| LapSet::Positions(positions.into_iter().collect())),
    ]
}

fn limits() -> impl Strategy<Value = LapLimits> {
    (1_u8.., 1_u32.., proptest::option::of(1_u32..=1 << 16), any::<Option<u32>>()).prop_map(
        |(attempts, timeout_ms, concurrency, deadline_ms)| LapLimits { attempts, timeout_ms, concurrency, deadline_ms },
    )
}

fn cause() -> impl Strategy<Value = CancelCause> {
    proptest::sample::select(vec![CancelCause::Asked, CancelCause::Deadline, CancelCause::Failures])
}

fn control() -> impl Strategy<Value = Control> {
    prop_oneof![
        Just(Control::Pause),
        Just(Control::Resume),
        proptest::option::of(1_u32..=1 << 16).prop_map(Control::SetConcurrency),
    ]
}

pub(crate) fn attempt_run(tasks: u32) -> impl Strategy<Value = AttemptRun> {
    (0..tasks + 2, 0_u32..5, any::<u8>(), 0_u64..1 << 50, any::<u32>(), proptest::option::of("[a-z]{0,3}")).prop_map(
        |(first, count, number, started_at, took_ms, error)| AttemptRun {
            first: Position(first),
            count,
            number,
            started_at: Timestamp(started_at),
            took_ms,
            error: error.map(Into::into),
        },
    )
}

/// Removes events that could not have been written at their place, such as outcomes before the start of their lap.
pub(crate) fn without_foresight(launched: &Launched, events: Vec<Event>) -> Vec<Event> {
    let mut quilt = Quilt::new(launched.clone());
    let mut causal = Vec::new();
    for event in events {
        let possible = match &event {
            Event::Launched(_) => true,
            Event::Settled { lap, .. }
            | Event::Draining { lap, .. }
            | Event::Cancelled { lap, .. }
            | Event::Attempted { lap, .. } => *lap <= quilt.lap_number(),
            Event::Controlled { lap, number, .. } => *lap <= quilt.lap_number() && *number <= quilt.controls() + 1,
            Event::LapStarted { lap, set, .. } => *lap <= quilt.lap_number() + u32::from(quilt.can_start_lap(set)),
        };
        if possible {
            quilt.apply(&event, &mut Vec::new());
            causal.push(event);
        }
    }
    causal
}

/// A journal in which `laps` laps cross their finish lines. In all but the last lap, every second task fails.
pub(crate) fn full_journal(tasks: u32, laps: u32) -> Vec<Event> {
    let mut journal = Vec::new();
    let mut pending: Vec<u32> = (0..tasks).collect();
    for lap in 1..=laps {
        let at = Timestamp(1_000 * u64::from(lap));
        if lap > 1 {
            journal.push(Event::LapStarted { lap, at, set: LapSet::Failed, limits: None });
        }
        let fails = |place: usize| lap < laps && place.is_multiple_of(2);
        for (chunk_number, chunk) in pending.chunks(7).enumerate() {
            let settlements = chunk
                .iter()
                .enumerate()
                .map(|(place, position)| Settlement {
                    position: Position(*position),
                    outcome: if fails(chunk_number * 7 + place) {
                        Outcome::Failed("odd one out".into())
                    } else {
                        Outcome::Done(Color::from_rgb(*position))
                    },
                })
                .collect();
            journal.push(Event::Settled { lap, at, settlements });
        }
        pending =
            pending.into_iter().enumerate().filter(|(place, _)| fails(*place)).map(|(_, position)| position).collect();
    }
    journal
}

/// A journal of arbitrary events, among which up to two laps cross their finish lines.
pub(crate) fn journal(tasks: u32) -> impl Strategy<Value = Vec<Event>> {
    let noise = proptest::collection::vec(event(tasks), 0..12);
    (noise, 0_u32..3, any::<proptest::sample::Index>()).prop_map(move |(mut noise, laps, place)| {
        let place = place.index(noise.len() + 1);
        let tail = noise.split_off(place);
        noise.extend(full_journal(tasks, laps));
        noise.extend(tail);
        noise
    })
}

/// The set of a single square.
pub(crate) fn one(position: u32) -> LapSet {
    LapSet::Positions([Position(position)].into_iter().collect())
}

/// Finishes a lap with failures, retries one failed square with success and another without, and then retries the rest.
pub(crate) fn retries_of_one(tasks: u32) -> Vec<Event> {
    let mut journal = full_journal(tasks, 2);
    let finish = journal.iter().position(|event| matches!(event, Event::LapStarted { .. })).expect("two laps");
    journal.truncate(finish);
    let mut lap = |lap, set, outcomes: Vec<(u32, Outcome)>| {
        let at = Timestamp(1_000 * u64::from(lap));
        let settlement = |(position, outcome)| Settlement { position: Position(position), outcome };
        let settlements = outcomes.into_iter().map(settlement).collect();
        journal.push(Event::LapStarted { lap, at, set, limits: None });
        journal.push(Event::Settled { lap, at, settlements });
    };
    let done = || Outcome::Done(Color::from_rgb(7));
    // Even positions have failed.
    lap(2, one(4), vec![(4, done())]);
    lap(3, one(2), vec![(2, Outcome::Failed("still".into()))]);
    let rest = (0..tasks).filter(|position| position % 2 == 0 && *position != 4);
    lap(4, LapSet::Failed, rest.map(|position| (position, done())).collect());
    journal
}
