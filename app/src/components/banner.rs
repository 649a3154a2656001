//! What stands at the finish line.

use leptos::prelude::*;
use quilt::{BatchId, CancelCause, Race, Square, Status, Summary};

use crate::channel::{Channel, Following};
use crate::components::page::Page;
use crate::components::panel::Panel;
use crate::components::post_form::{Refusal, action, button, form};
use crate::components::receipt::{self, ReceiptDocument};
use crate::format;

/// How many pieces of confetti there are.
const CONFETTI: u32 = 36;

/// What stands at the finish line. Empty while the batch runs; comes once a lap, politely.
#[component]
pub(crate) fn Banner(
    /// The page of the batch.
    page: Page,
) -> impl IntoView {
    let Page { id, is_own, channel, .. } = page;
    let is_over = Memo::new(move |_| channel.is_over());
    let finished_lap = Memo::new(move |_| channel.summary.with(|summary| summary.last_across.map(|_| summary.lap)));
    let receipt = RwSignal::new(None::<ReceiptDocument>);
    // Effects run in the browser alone: the server renders no receipt.
    Effect::new(move |_| {
        if let Some(lap) = finished_lap.get() {
            receipt::ask(id, lap, receipt);
        }
    });
    let status = move || channel.summary.with(|summary| summary.status.as_str());
    let text = Signal::derive(move || channel.summary.with(text));
    let last_across = Signal::derive(move || last_across_html(channel));
    let receipt = Signal::derive(move || {
        let receipt = receipt.get().filter(|receipt| Some(receipt.lap) == finished_lap.get());
        receipt.map_or(String::new(), |receipt| receipt.html(id))
    });
    let actions = Signal::derive(move || channel.summary.with(|summary| actions_html(id, is_own, summary)));
    let confetti = Signal::derive(move || if page.has_seen_finish.get() { confetti() } else { String::new() });
    view! {
        <div class="banner-place posting" role="status" aria-label="Finish" aria-atomic="false">
            <Show when=move || is_over.get()>
                <div class="banner" data-banner=status>
                    <Panel html=confetti />
                    <Panel html=text />
                    // What comes a moment later is not read out by itself.
                    <div class="banner-more" aria-live="off">
                        <Panel html=last_across />
                        <Panel html=receipt />
                        <Panel html=actions />
                    </div>
                    <Refusal />
                </div>
            </Show>
        </div>
    }
}

fn text(summary: &Summary) -> String {
    format!("<h2>{}</h2><p>{}</p>", headline(summary), detail(summary))
}

/// Which square came last, and how long after half of the others, once that is known.
fn last_across_html(channel: Channel) -> String {
    channel.track_race();
    let Some(square) = channel.summary.with(|summary| summary.last_across) else { return String::new() };
    let ended = channel.summary.with(|summary| Some(summary.ended_at?.millis_since(summary.started_at)));
    let median = channel.with_race(Race::median_ms).flatten().filter(|_| channel.following.get() == Following::Live);
    let behind = ended.zip(median).map_or(String::new(), |(ended, median)| {
        format!(", {} behind the median", format::duration(ended.saturating_sub(median.into())))
    });
    format!("<p>Last across: {}{behind}.</p>", place(square))
}

fn actions_html(id: BatchId, is_own: bool, summary: &Summary) -> String {
    let again = format!(
        r#"{}<label class="same-seed"><input type="checkbox" id="same-seed" name="same_seed" value="true"> same seed</label>"#,
        button("run-again", "primary", "Run again")
    );
    let mut actions = form(action::RUN_AGAIN, id, &again);
    if is_own && summary.status == Status::Finished && summary.progress.failed > 0 {
        actions += &form(action::RETRY_FAILED, id, &button("retry-failed", "", "Retry failed"));
    }
    if is_own {
        actions += &form(action::REMOVE, id, &button("remove", "quiet-button", "Remove"));
    }
    format!(r#"<div class="banner-actions">{actions}</div>"#)
}

/// A square's name, which leads to it.
pub(crate) fn place(Square { row, column }: Square) -> String {
    format!(r#"<button type="button" class="link" data-do="show:{row},{column}">row {row}, column {column}</button>"#)
}

fn confetti() -> String {
    // Spread by the golden angle, which is random enough for paper.
    let piece = |number: u32| format!(r#"<i style="--n:{number};--turn:{}deg"></i>"#, number * 222 % 360);
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
