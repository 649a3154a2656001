//! This visitor's batches.

use leptos::prelude::*;
use quilt::{BatchId, Summary, Timestamp};

use crate::components::list_refresh::ListRefresh;
use crate::format;
use crate::html::percent;

/// How many batches are listed.
const LISTED: u32 = 12;

/// The newest batches, with how they stand.
#[component]
pub(crate) fn BatchList() -> impl IntoView {
    view! {
        <section class="batches" aria-labelledby="your-batches">
            <h2 id="your-batches">"Your batches"</h2>
            {Suspend::new(async move {
                match crate::server::list(LISTED).await {
                    Ok(batches) if batches.is_empty() => {
                        view! { <p class="quiet">"Nothing yet. The ones that you launch are listed here."</p> }.into_any()
                    }
                    Ok(batches) => {
                        let now = engine::now();
                        let items = batches.into_iter().map(|(id, summary)| view! { <Item id summary now /> });
                        view! { <ul class="batch-list">{items.collect_view()}</ul> }.into_any()
                    }
                    Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
                }
            })}
        </section>
        <ListRefresh />
    }
}

#[component]
fn Item(id: BatchId, summary: Summary, now: Timestamp) -> impl IntoView {
    let progress = summary.progress;
    let share = |count: u32| percent(count.into(), progress.tasks.into());
    let counts = match progress.failed {
        0 => format!("{} of {}", format::count(progress.done), format::count(progress.tasks)),
        failed => format!(
            "{} of {}, {} failed",
            format::count(progress.done),
            format::count(progress.tasks),
            format::count(failed)
        ),
    };
    let at = summary.ended_at.map_or(String::new(), |at| format!("&at={}", at.0));
    view! {
        <li>
            <a href=format!("/batches/{id}") class="batch-link">
                // One of a batch that is over stays as it is, and is asked for once.
                <img class="thumbnail" src=format!("/batches/{id}/quilt.png?side=48{at}") alt="" width="40" height="40" loading="lazy" />
                <span class="batch-size">{format::shape(summary.spec.grid)}</span>
                <span class="batch-status" data-status=summary.status.as_str()>{summary.status.as_str()}</span>
                <span class="bar" aria-hidden="true">
                    <span class="bar-done" style:width=share(progress.done)></span>
                    <span class="bar-failed" style:width=share(progress.failed)></span>
                </span>
                <span class="batch-counts">{counts}</span>
                <span class="batch-age">{ago(now.millis_since(summary.created_at))}</span>
            </a>
        </li>
    }
}

/// How long ago, roughly.
fn ago(millis: u64) -> String {
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
    fn the_past_is_told_roughly() {
        assert_eq!(
            [59_000, 60_000, 7_200_000, 200_000_000].map(ago),
            ["just now", "1 minute ago", "2 hours ago", "2 days ago"]
        );
    }
}
