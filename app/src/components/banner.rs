//! What stands at the finish line.

use leptos::prelude::*;
use quilt::{BatchId, CancelCause, Square, Status, Summary};

use crate::channel::Channel;
use crate::components::post_form::{PostForm, Posting, Refusal, action};
use crate::components::receipt::ReceiptDetails;
use crate::format;

/// Empty while the batch runs. At the finish line it tells how it went, politely, and offers what comes next.
#[component]
pub(crate) fn Banner(
    /// The batch on the page.
    id: BatchId,
    /// Whether the visitor may retry its failed squares.
    is_own: bool,
    /// Its channel.
    channel: Channel,
    /// Told the square that the visitor wants to see.
    focused: RwSignal<Option<Square>>,
) -> impl IntoView {
    let is_over = Memo::new(move |_| channel.is_over());
    let run_again = Posting::new(None);
    let retry = Posting::new(None);
    let remove = Posting::new(None);
    let has_failed = Memo::new(move |_| {
        channel.summary.with(|summary| summary.status == Status::Finished && summary.progress.failed > 0)
    });
    let last_across = Memo::new(move |_| channel.summary.with(|summary| summary.last_across));
    let text = move || channel.summary.with(headline);
    let detail = move || channel.summary.with(detail);
    view! {
        <div class="banner-place" role="status" aria-label="Finish" aria-atomic="false">
            <Show when=move || is_over.get()>
                <div class="banner" data-banner=move || channel.summary.with(|summary| summary.status.as_str())>
                    <h2>{text}</h2>
                    <p>
                        {detail}
                        {move || last_across.get().map(|square| view! { " Last across: " {place(square, focused)} "." })}
                    </p>
                    <ReceiptDetails id channel />
                    <div class="banner-actions">
                        <PostForm action=action::RUN_AGAIN id=Some(id) posting=run_again>
                            <button type="submit" class="button primary" disabled=move || run_again.is_pending.get()>"Run again"</button>
                        </PostForm>
                        <Show when=move || is_own && has_failed.get()>
                            <PostForm action=action::RETRY_FAILED id=Some(id) posting=retry>
                                <button type="submit" class="button" disabled=move || retry.is_pending.get()>"Retry failed"</button>
                            </PostForm>
                        </Show>
                        {is_own.then(|| view! {
                            <PostForm action=action::REMOVE id=Some(id) posting=remove>
                                <button type="submit" class="button quiet-button" disabled=move || remove.is_pending.get()>"Remove"</button>
                            </PostForm>
                        })}
                    </div>
                    <Refusal posting=run_again />
                    <Refusal posting=retry />
                    <Refusal posting=remove />
                </div>
            </Show>
        </div>
    }
}

/// The name of a square, which leads to it.
fn place(square: Square, focused: RwSignal<Option<Square>>) -> impl IntoView {
    let name = format!("row {}, column {}", square.row, square.column);
    view! { <button type="button" class="link" on:click=move |_| focused.set(Some(square))>{name}</button> }
}

fn headline(summary: &Summary) -> String {
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
