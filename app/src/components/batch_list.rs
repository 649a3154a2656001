//! This visitor's batches.

use std::time::Duration;

use leptos::prelude::*;
use quilt::{BatchId, Summary, Timestamp};

use crate::actions::list_batches;
use crate::format;
use crate::model::{ActionError, BatchList as Listing};

/// How often the list is asked for again while a batch in it runs.
const REFRESH: Duration = Duration::from_secs(2);

/// The newest batches, with how they stand.
#[component]
pub(crate) fn BatchList() -> impl IntoView {
    let batches = Resource::new(|| (), |()| list_batches());
    Effect::new(move |_| {
        // A server that did not answer may do so soon.
        let may_change = |listing: Result<Listing, ActionError>| {
            listing.map_or(true, |listing| listing.batches.iter().any(|(_, summary)| !summary.status.is_over()))
        };
        if batches.get().is_some_and(may_change) {
            let again = set_timeout_with_handle(move || batches.refetch(), REFRESH);
            on_cleanup(move || {
                if let Ok(again) = again {
                    again.clear();
                }
            });
        }
    });
    view! {
        <section class="batches" aria-labelledby="your-batches">
            <h2 id="your-batches">"Your batches"</h2>
            <Transition fallback=|| view! { <p class="quiet">"Loading…"</p> }>
                {move || Suspend::new(async move {
                    match batches.await {
                        Ok(listing) if listing.batches.is_empty() => {
                            view! { <p class="quiet">"Nothing yet. The ones that you launch are listed here."</p> }.into_any()
                        }
                        Ok(listing) => {
                            let now = listing.now;
                            let items = listing.batches.into_iter().map(|(id, summary)| view! { <Item id summary now /> });
                            view! { <ul class="batch-list">{items.collect_view()}</ul> }.into_any()
                        }
                        Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
                    }
                })}
            </Transition>
        </section>
    }
}

#[component]
fn Item(id: BatchId, summary: Summary, now: Timestamp) -> impl IntoView {
    let grid = summary.spec.grid;
    let progress = summary.progress;
    let share = move |count: u32| format!("{:.2}%", f64::from(count) * 100.0 / f64::from(progress.tasks.max(1)));
    let counts = match progress.failed {
        0 => format!("{} of {}", format::count(progress.done), format::count(progress.tasks)),
        failed => format!(
            "{} of {}, {} failed",
            format::count(progress.done),
            format::count(progress.tasks),
            format::count(failed)
        ),
    };
    view! {
        <li>
            <a href=format!("/batches/{id}") class="batch-link">
                <span class="batch-size">{format!("{} × {}", grid.rows(), grid.columns())}</span>
                <span class="batch-status" data-status=summary.status.as_str()>{summary.status.as_str()}</span>
                <span class="bar" aria-hidden="true">
                    <span class="bar-done" style:width=share(progress.done)></span>
                    <span class="bar-failed" style:width=share(progress.failed)></span>
                </span>
                <span class="batch-counts">{counts}</span>
                <span class="batch-age">{format::ago(now.millis_since(summary.created_at))}</span>
            </a>
        </li>
    }
}
