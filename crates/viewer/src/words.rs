//! Headlines and labels of a batch.

use quilt::race::LastAttempt;
use quilt::{CancelCause, Grid, Index, Square, SquareState, Status, Summary, Tolerance};

use crate::condition::Condition;
use crate::format;
use crate::pace::Pace;

/// The label of a square, for screen readers and for the square below the pointer.
#[must_use]
pub fn label(grid: Grid, index: Index, outcome: SquareState<'_>, last: Option<LastAttempt>) -> String {
    let Square { row, column } = grid.square(index);
    match (outcome, last) {
        (SquareState::Pending, Some(last)) if !last.is_done => {
            format!("Row {row}, column {column}: retrying, attempt {} failed", last.number)
        }
        (SquareState::Pending, _) => format!("Row {row}, column {column}: pending"),
        (SquareState::Done(color), _) => format!("Row {row}, column {column}: done, {color}"),
        (SquareState::Failed(reason), _) => format!("Row {row}, column {column}: failed, {reason}"),
        (SquareState::NotRun, _) => format!("Row {row}, column {column}: not run"),
    }
}

/// The name of a batch: its title or, without one, its shape.
#[must_use]
pub fn name(summary: &Summary) -> String {
    summary.spec.title.as_deref().map_or_else(|| format::shape(summary.spec.grid), Into::into)
}

/// The title of the browser's tab. A page that is cut off from the server shows old numbers, which `is_stale` marks.
#[must_use]
pub fn title(summary: &Summary, is_stale: bool) -> String {
    let (name, condition) = (name(summary), Condition::of(summary).label());
    let mark = if is_stale { "⚠ " } else { "" };
    let percent = u64::from(summary.progress.settled()) * 100 / u64::from(summary.progress.tasks.max(1));
    match summary.status {
        Status::Running => format!("{mark}{percent}% · {name} · Quilt"),
        Status::Paused | Status::Draining => format!("{mark}{percent}% · {condition} · {name} · Quilt"),
        Status::Finished | Status::Cancelled => format!("{mark}{condition} · {name} · Quilt"),
    }
}

/// The headline of the finish banner; empty while the batch runs.
#[must_use]
pub fn headline(summary: &Summary) -> String {
    let progress = summary.progress;
    let of_tasks = |number: u32| format!("{} of {}", format::count(number), format::count(progress.tasks));
    match Condition::of(summary) {
        Condition::Running | Condition::Paused | Condition::Stopping => String::new(),
        Condition::Done => format!("All {} done", format::count(progress.tasks)),
        Condition::Failed => format!("All {} failed", format::count(progress.tasks)),
        Condition::Incomplete => format!("{} done", of_tasks(progress.done)),
        Condition::PartlyFailed => format!("{} failed", of_tasks(progress.failed)),
        Condition::Stopped => format!("Stopped at {}", of_tasks(progress.settled())),
        Condition::Cancelled => format!("Cancelled at {}", of_tasks(progress.settled())),
    }
}

/// The sentence below the headline: how long it took, or why it stopped, and what is left.
#[must_use]
pub fn detail(summary: &Summary) -> String {
    let Some(ended_at) = summary.ended_at else { return String::new() };
    let took = format::duration(ended_at.millis_since(summary.started_at));
    let what = match summary.cancelled_because {
        Some(CancelCause::Asked) => format!("Its owner cancelled it after {took}."),
        Some(CancelCause::Deadline) => match summary.spec.deadline_ms {
            Some(deadline) => format!("The deadline of {} passed.", format::duration(deadline.into())),
            None => format!("The deadline passed after {took}."),
        },
        Some(CancelCause::Failures) => format!("Too many failures after {took}{}.", allowed(summary)),
        None if summary.lap > 1 => format!("Lap {} took {took}.", summary.lap),
        None => format!("It took {took}."),
    };
    let progress = summary.progress;
    let failed = match progress.failed {
        failed if failed > 0 && summary.cancelled_because.is_some() => format!(" {} failed.", format::squares(failed)),
        _ => String::new(),
    };
    let not_run = match progress.not_run {
        0 => String::new(),
        1 => " 1 square was not run.".into(),
        not_run => format!(" {} were not run.", format::squares(not_run)),
    };
    format!("{what}{failed}{not_run}")
}

/// How many failures the batch allows, in parentheses.
fn allowed(summary: &Summary) -> String {
    match summary.spec.tolerated_failures {
        Some(Tolerance::Share(share)) => {
            // In whole numbers, because the code that formats floats is large.
            let tenths = (share * 1_000.0).round() as u32;
            let fraction = if tenths.is_multiple_of(10) { String::new() } else { format!(".{}", tenths % 10) };
            format!(" ({}{fraction} % allowed)", tenths / 10)
        }
        Some(Tolerance::Count(count)) => format!(" ({} allowed)", format::count(count)),
        None => String::new(),
    }
}

/// The text of the progress bar.
#[must_use]
pub fn progress(summary: &Summary) -> String {
    let progress = summary.progress;
    format!(
        "{} of {}: {} done, {} failed",
        format::count(progress.settled()),
        format::squares(progress.tasks),
        format::count(progress.done),
        format::count(progress.failed)
    )
}

/// Tasks per second: the current rate while the batch runs, and the average once it has finished. `elapsed` is the duration of the lap in
/// milliseconds.
#[must_use]
pub fn rate(summary: &Summary, pace: Option<Pace>, elapsed: u64) -> String {
    match (summary.status, pace) {
        (Status::Running, Some(pace)) => format::rate(pace.rate),
        (Status::Running, None) => "…".into(),
        (Status::Finished, _) => format::rate(f64::from(summary.lap_tasks) * 1_000.0 / elapsed.max(1) as f64),
        _ => "–".into(),
    }
}

/// The remaining time, as a range according to the variation of the rate. A single number would suggest more precision.
#[must_use]
pub fn time_left(summary: &Summary, pace: Option<Pace>) -> String {
    let at = |rate: f64| (f64::from(summary.progress.pending()) / rate * 1_000.0) as u64;
    match (summary.status, pace) {
        (Status::Running, Some(pace)) if pace.rate > 0.0 && pace.slowest > 0.0 => {
            format::range(at(pace.fastest), at(pace.slowest))
        }
        (Status::Running, Some(pace)) if pace.rate > 0.0 => format!("over {}", format::duration(at(pace.fastest))),
        (Status::Running, _) => "…".into(),
        _ => "–".into(),
    }
}

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Launched, Timestamp, WorkSpec};

    use super::*;

    fn summary(status: Status, done: u32, failed: u32) -> Summary {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        let mut summary = Summary::of_launch(Launched::new(spec, Timestamp(1_000)));
        summary.status = status;
        summary.progress.done = done;
        summary.progress.failed = failed;
        summary.ended_at = status.is_over().then_some(Timestamp(3_500));
        summary
    }

    #[test]
    fn each_end_has_its_own_words() {
        let stopped = |because, done, failed| {
            let mut summary = summary(Status::Cancelled, done, failed);
            summary.cancelled_because = Some(because);
            summary.progress.not_run = 64 - done - failed;
            summary.spec.deadline_ms = Some(1_500);
            summary.spec.tolerated_failures = Some(Tolerance::Share(0.1));
            summary
        };
        let incomplete = {
            let mut summary = summary(Status::Finished, 60, 0);
            summary.progress.not_run = 4;
            summary
        };
        for (summary, word, expected_headline, expected_detail) in [
            (summary(Status::Finished, 64, 0), "Done", "All 64 done", "It took 2.5 s."),
            (summary(Status::Finished, 60, 4), "Partly failed", "4 of 64 failed", "It took 2.5 s."),
            (summary(Status::Finished, 0, 64), "Failed", "All 64 failed", "It took 2.5 s."),
            (incomplete, "Incomplete", "60 of 64 done", "It took 2.5 s. 4 squares were not run."),
            (
                stopped(CancelCause::Asked, 29, 0),
                "Cancelled",
                "Cancelled at 29 of 64",
                "Its owner cancelled it after 2.5 s. 35 squares were not run.",
            ),
            (
                stopped(CancelCause::Deadline, 62, 1),
                "Stopped",
                "Stopped at 63 of 64",
                "The deadline of 1.5 s passed. 1 square failed. 1 square was not run.",
            ),
            (
                stopped(CancelCause::Failures, 20, 9),
                "Stopped",
                "Stopped at 29 of 64",
                "Too many failures after 2.5 s (10 % allowed). 9 squares failed. 35 squares were not run.",
            ),
            (summary(Status::Running, 10, 0), "Running", "", ""),
        ] {
            assert_eq!(Condition::of(&summary).label(), word);
            assert_eq!((headline(&summary), detail(&summary)), (expected_headline.into(), expected_detail.into()));
        }
    }

    #[test]
    fn the_tab_shows_the_end_and_what_is_stale() {
        assert_eq!(title(&summary(Status::Running, 32, 0), false), "50% · 8 × 8 · Quilt");
        assert_eq!(title(&summary(Status::Paused, 32, 0), true), "⚠ 50% · Paused · 8 × 8 · Quilt");
        assert_eq!(title(&summary(Status::Finished, 60, 4), false), "Partly failed · 8 × 8 · Quilt");
    }

    #[test]
    fn the_time_left_is_a_range_as_wide_as_the_rate_varies() {
        // 100 tasks are left.
        let mut summary = summary(Status::Running, 0, 0);
        summary.progress.tasks = 100;
        let left = |pace| time_left(&summary, Some(pace));
        assert_eq!(left(Pace { rate: 10.0, slowest: 10.0, fastest: 10.0 }), "10 s");
        assert_eq!(left(Pace { rate: 10.0, slowest: 5.0, fastest: 20.0 }), "5–20 s");
        assert_eq!(left(Pace { rate: 1.0, slowest: 0.0, fastest: 2.0 }), "over 50.0 s");
        assert_eq!(left(Pace { rate: 0.0, slowest: 0.0, fastest: 0.0 }), "…");
        assert_eq!(time_left(&summary, None), "…");
    }

    #[test]
    fn the_rate_is_an_average_once_the_batch_has_finished() {
        assert_eq!(rate(&summary(Status::Finished, 64, 0), None, 32_000), "2.0/s");
        assert_eq!(rate(&summary(Status::Running, 1, 0), None, 32_000), "…");
        assert_eq!(rate(&summary(Status::Cancelled, 1, 0), None, 32_000), "–");
    }
}
