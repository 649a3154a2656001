//! An item in the visitor's list of batches.

use leptos::prelude::*;

use crate::components::shared::text;
use crate::model::{Cell, ListItem};

/// A batch with a link to its page, and a box that selects it. Updates reuse the elements.
#[component]
pub(crate) fn BatchItem(item: Signal<ListItem>) -> impl IntoView {
    let of = move |cell| text(move || item.with(|item| item.get(cell)));
    // These do not change.
    let fixed = move |cell| of(cell).get_untracked();
    view! {
        <li class="batch-item" data-condition=of(Cell::Condition)>
            <input
                type="checkbox"
                name="batch"
                form="selection"
                value=fixed(Cell::Id)
                aria-label=format!("Select {}", fixed(Cell::Name))
            />
            <a href=format!("/batches/{}", fixed(Cell::Id)) class="batch-link">
                <img class="thumbnail" src=of(Cell::Picture) alt="" width="40" height="40" loading="lazy" />
                <span class="batch-name">
                    <bdi>{fixed(Cell::Name)}</bdi>
                    " "
                    <small>{fixed(Cell::Kind)}</small>
                </span>
                <span class="batch-status">{of(Cell::Word)}</span>
                <span class="bar" aria-hidden="true">
                    <span class="bar-done" style:width=of(Cell::Done)></span>
                    <span class="bar-failed" style:width=of(Cell::Failed)></span>
                </span>
                <span class="batch-counts">{of(Cell::Counts)}</span>
                <span class="batch-times">
                    <time datetime=fixed(Cell::StartedAt) title=fixed(Cell::StartedAt)>{fixed(Cell::Started)}</time>
                    " · "
                    {of(Cell::Took)}
                </span>
            </a>
        </li>
    }
}
