//! Headlines and labels of a batch.

use quilt::race::LastAttempt;
use quilt::{CancelCause, Grid, Index, Square, SquareState, Status, Summary};

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

/// The title of the document.
#[must_use]
pub fn title(summary: &Summary) -> String {
    let name = name(summary);
    let percent = u64::from(summary.progress.settled()) * 100 / u64::from(summary.progress.tasks.max(1));
    match summary.status {
        Status::Running => format!("{percent}% · {name} · Quilt"),
        Status::Paused => format!("{percent}% · paused · {name} · Quilt"),
        Status::Draining => format!("{percent}% · stopping · {name} · Quilt"),
        Status::Finished => format!("Finished · {name} · Quilt"),
        Status::Cancelled => format!("Cancelled · {name} · Quilt"),
    }
}

/// The line below the heading.
#[must_use]
pub fn subtitle(summary: &Summary) -> String {
    let tasks = format::count(summary.progress.tasks);
    let kind = &summary.spec.work.kind;
    let lap = if summary.lap > 1 { format!(" · lap {}", summary.lap) } else { String::new() };
    let status = match summary.status {
        Status::Paused => " · paused",
        Status::Draining => " · stopping",
        Status::Running | Status::Finished | Status::Cancelled => "",
    };
    let shape =
        summary.spec.title.as_ref().map_or(String::new(), |_| format!("{} · ", format::shape(summary.spec.grid)));
    format!("{shape}{tasks} {kind} tasks{lap}{status}")
}

/// The headline of the finish banner; empty while the batch runs.
#[must_use]
pub fn headline(summary: &Summary) -> String {
    let progress = summary.progress;
    match (summary.status, progress.failed) {
        (Status::Running | Status::Paused | Status::Draining, _) => String::new(),
        (Status::Cancelled, _) => format!(
            "Cancelled with {} of {} settled",
            format::count(progress.settled()),
            format::squares(progress.tasks)
        ),
        (Status::Finished, failed) => {
            let done = format::squares(progress.done);
            let failed = if failed > 0 { format!(", {} failed", format::count(failed)) } else { String::new() };
            match progress.not_run {
                0 if failed.is_empty() => format!("All {done} finished"),
                0 => format!("{done} finished{failed}"),
                not_run => format!("{done} finished{failed}, {} not run", format::count(not_run)),
            }
        }
    }
}

/// The sentence below the headline: the duration, or the cause of the stop.
#[must_use]
pub fn detail(summary: &Summary) -> String {
    let Some(ended_at) = summary.ended_at else { return String::new() };
    let took = format::duration(ended_at.millis_since(summary.started_at));
    match summary.cancelled_because {
        Some(CancelCause::Asked) => return format!("It had run for {took}."),
        Some(CancelCause::Deadline) => return format!("Its time of {took} was over."),
        Some(CancelCause::Failures) => return format!("After {took} more tasks had failed than it tolerates."),
        None => {}
    }
    if summary.lap > 1 { format!("Lap {} took {took}.", summary.lap) } else { format!("It took {took}.") }
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
    fn the_headline_counts_what_finished_and_what_failed() {
        assert_eq!(headline(&summary(Status::Finished, 64, 0)), "All 64 squares finished");
        assert_eq!(headline(&summary(Status::Finished, 60, 4)), "60 squares finished, 4 failed");
        assert_eq!(headline(&summary(Status::Cancelled, 10, 0)), "Cancelled with 10 of 64 squares settled");
        assert_eq!(headline(&summary(Status::Running, 10, 0)), "");
        assert_eq!(detail(&summary(Status::Finished, 64, 0)), "It took 2.5 s.");
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
