//! A batch in the visitor's list.

use leptos::prelude::*;
use viewer::format;

use crate::components::batch::percent;
use crate::components::shared::text;
use crate::model::BatchCard;

/// How a batch stands, with a link to its page. Its elements stay while the card changes.
#[component]
pub(crate) fn BatchItem(id: String, card: Signal<Option<BatchCard>>) -> impl IntoView {
    let of =
        move |of: fn(&BatchCard) -> String| text(move || card.with(|card| card.as_ref().map_or(String::new(), of)));
    view! {
        <li>
            <a href=format!("/batches/{id}") class="batch-link">
                <img class="thumbnail" src=of(picture) alt="" width="40" height="40" loading="lazy" />
                <span class="batch-size">{of(|card| card.shape.clone())}</span>
                <span class="batch-status" data-status=of(|card| card.status.as_str().into())>
                    {of(|card| card.status.as_str().into())}
                </span>
                <span class="bar" aria-hidden="true">
                    <span class="bar-done" style:width=of(|card| percent(card.progress.done, card.progress.tasks))></span>
                    <span class="bar-failed" style:width=of(|card| percent(card.progress.failed, card.progress.tasks))></span>
                </span>
                <span class="batch-counts">{of(counts)}</span>
                <span class="batch-age">{of(|card| age(card.age_ms))}</span>
            </a>
        </li>
    }
}

/// The picture of a batch that is over does not change, and is cached under an address of its own. That of others is loaded again when
/// squares have settled: an address that names no end is not cached.
fn picture(card: &BatchCard) -> String {
    let at = card.ended_at.map_or_else(|| card.progress.settled().into(), |at| at.0);
    format!("/batches/{}/quilt.png?side=48&at={at}", card.id)
}

fn counts(card: &BatchCard) -> String {
    let progress = card.progress;
    let failed =
        if progress.failed > 0 { format!(", {} failed", format::count(progress.failed)) } else { String::new() };
    format!("{} of {}{failed}", format::count(progress.done), format::count(progress.tasks))
}

/// How long ago, roughly.
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
