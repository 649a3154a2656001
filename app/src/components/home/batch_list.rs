//! An item in the visitor's list of batches.

use leptos::prelude::*;
use quilt::Progress;
use viewer::{format, words};

use crate::components::batch::percent;
use crate::components::shared::text;
use crate::model::BatchView;

/// The progress of a batch, with a link to its page. Updates reuse the elements.
#[component]
pub(crate) fn BatchItem(id: String, batch: Signal<Option<BatchView>>) -> impl IntoView {
    let of =
        move |of: fn(&BatchView) -> String| text(move || batch.with(|batch| batch.as_ref().map_or(String::new(), of)));
    view! {
        <li>
            <a href=format!("/batches/{id}") class="batch-link">
                <img class="thumbnail" src=of(picture) alt="" width="40" height="40" loading="lazy" />
                <span class="batch-size">{of(|batch| words::name(&batch.summary))}</span>
                <span class="batch-status" data-status=of(|batch| batch.summary.status.as_str().into())>
                    {of(|batch| batch.summary.status.as_str().into())}
                </span>
                <span class="bar" aria-hidden="true">
                    <span class="bar-done" style:width=of(|batch| share(batch, |progress| progress.done))></span>
                    <span class="bar-failed" style:width=of(|batch| share(batch, |progress| progress.failed))></span>
                </span>
                <span class="batch-counts">{of(counts)}</span>
                <span class="batch-age">{of(|batch| age(batch.now.millis_since(batch.summary.created_at)))}</span>
            </a>
        </li>
    }
}

/// The URL of a batch's thumbnail. The query makes it unique per state: a finished batch's picture is cached under its end time, a running
/// batch's picture is loaded again when squares have settled.
fn picture(batch: &BatchView) -> String {
    let at = batch.summary.ended_at.map_or_else(|| batch.summary.progress.settled().into(), |at| at.0);
    format!("/batches/{}/quilt.png?side=48&at={at}", batch.id)
}

/// A count as a share of all tasks, as a CSS percentage.
fn share(batch: &BatchView, count: fn(Progress) -> u32) -> String {
    let progress = batch.summary.progress;
    percent(count(progress), progress.tasks)
}

fn counts(batch: &BatchView) -> String {
    let progress = batch.summary.progress;
    let failed =
        if progress.failed > 0 { format!(", {} failed", format::count(progress.failed)) } else { String::new() };
    format!("{} of {}{failed}", format::count(progress.done), format::count(progress.tasks))
}

/// An age in milliseconds as text, rounded down to minutes, hours or days.
fn age(millis: u64) -> String {
    let minutes = millis / 60_000;
    let (value, unit) = match minutes {
        0 => return "just now".into(),
        1..60 => (minutes, "minute"),
        60..1_440 => (minutes / 60, "hour"),
        _ => (minutes / 1_440, "day"),
    };
    format!("{value} {unit}{} ago", if value == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_rounded() {
        assert_eq!(
            [59_000, 60_000, 7_200_000, 200_000_000].map(age),
            ["just now", "1 minute ago", "2 hours ago", "2 days ago"]
        );
    }
}
