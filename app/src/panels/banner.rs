//! What stands at the finish line.

use quilt::{CancelCause, Square, Status, Summary};

use super::Panel;
use crate::components::post_form::{action, button, form};
use crate::format;
use crate::page::{Connection, Following, State};

/// How many pieces of confetti there are.
const CONFETTI: u32 = 36;

/// Empty while the batch runs; comes once a lap. The parts that come a moment later have panels of their own, and are not read out by themselves.
pub(super) fn html(state: &State) -> String {
    if state.is_running() {
        return String::new();
    }
    let summary = &state.summary;
    format!(
        concat!(
            r#"<div class="banner" data-banner="{status}">{confetti}<h2>{headline}</h2><p>{detail}</p>"#,
            r#"<div class="banner-more" aria-live="off">{last_across}{receipt}{actions}</div><p class="refusal" role="alert"></p></div>"#
        ),
        status = summary.status.as_str(),
        confetti = if state.has_seen_finish { confetti() } else { String::new() },
        headline = headline(summary),
        detail = detail(summary),
        last_across = Panel::LastAcross.slot(),
        receipt = Panel::Receipt.slot(),
        actions = actions_html(state),
    )
}

/// Which square came last, and how long after half of the others, once that is known.
pub(super) fn last_across_html(state: &State) -> String {
    let summary = &state.summary;
    let Some(square) = summary.last_across.filter(|_| !state.is_running()) else { return String::new() };
    let ended = summary.ended_at.map(|ended_at| ended_at.millis_since(summary.started_at));
    let median = state.race().median_ms().filter(|_| state.following == Following::Live);
    let behind = ended.zip(median).map_or(String::new(), |(ended, median)| {
        format!(", {} behind the median", format::duration(ended.saturating_sub(median.into())))
    });
    format!("<p>Last across: {}{behind}.</p>", place(square))
}

fn actions_html(state: &State) -> String {
    let State { id, summary, .. } = state;
    if state.connection == Connection::Removed {
        return String::new();
    }
    let again = format!(
        r#"{}<label class="same-seed"><input type="checkbox" id="same-seed" name="same_seed" value="true"> same seed</label>"#,
        button("run-again", "primary", "Run again")
    );
    let mut actions = form(action::RUN_AGAIN, *id, &again);
    if state.can_retry() && summary.progress.failed > 0 {
        actions += &form(action::RETRY_FAILED, *id, &button("retry-failed", "", "Retry failed"));
    }
    if state.is_own {
        actions += &form(action::REMOVE, *id, &button("remove", "quiet-button", "Remove"));
    }
    format!(r#"<div class="banner-actions">{actions}</div>"#)
}

/// A square's name, which leads to it.
pub(crate) fn place(Square { row, column }: Square) -> String {
    format!(r#"<button type="button" class="link" data-do="show:{row},{column}">row {row}, column {column}</button>"#)
}

fn confetti() -> String {
    // Multiples of numbers that have nothing in common with the moduli are random enough for paper.
    let piece = |number: u32| {
        let (left, turn, fall, wait) = (number * 61 % 100, number * 222 % 360, number * 37 % 17, number * 97 % 60);
        format!(r#"<i style="left:{left}%;--turn:{turn}deg;--fall:{}rem;animation-delay:{wait}0ms"></i>"#, 10 + fall)
    };
    let pieces: String = (0..CONFETTI).map(piece).collect();
    format!(r#"<span class="confetti" aria-hidden="true">{pieces}</span>"#)
}

pub(crate) fn headline(summary: &Summary) -> String {
    let progress = summary.progress;
    match (summary.status, progress.failed) {
        (Status::Running | Status::Paused, _) => String::new(),
        (Status::Cancelled, _) => format!(
            "Cancelled with {} of {} settled",
            format::count(progress.settled()),
            format::squares(progress.tasks)
        ),
        (Status::Finished, 0) => format!("All {} finished", format::squares(progress.tasks)),
        (Status::Finished, failed) => {
            format!("{} finished, {} failed", format::squares(progress.done), format::count(failed))
        }
    }
}

fn detail(summary: &Summary) -> String {
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

#[cfg(test)]
mod tests {
    use quilt::{BatchSpec, Grid, Launched, Timestamp, WorkSpec};

    use super::*;

    fn summary(status: Status, done: u32, failed: u32) -> Summary {
        let work = WorkSpec { kind: "color".into(), parameters: serde_json::Map::new() };
        let spec = BatchSpec::new(work, Grid::new(8, 8).expect("small"), 1);
        let mut summary = Summary::of_launch(Launched { spec, at: Timestamp(1_000) });
        summary.status = status;
        summary.progress.done = done;
        summary.progress.failed = failed;
        summary.ended_at = Some(Timestamp(3_500));
        summary
    }

    #[test]
    fn the_headline_counts_what_finished_and_what_failed() {
        assert_eq!(headline(&summary(Status::Finished, 64, 0)), "All 64 squares finished");
        assert_eq!(headline(&summary(Status::Finished, 60, 4)), "60 squares finished, 4 failed");
        assert_eq!(headline(&summary(Status::Cancelled, 10, 0)), "Cancelled with 10 of 64 squares settled");
        assert_eq!(detail(&summary(Status::Finished, 64, 0)), "It took 2.5 s.");
    }
}
