//! `/delete`: asks before several batches are deleted.

use leptos::prelude::*;
use leptos::server_fn::ServerFn;
use leptos_meta::Title;
use leptos_router::hooks::use_query_map;

use super::refusal::posted_error;
use crate::actions::list_named;
use crate::functions::DeleteBatches;
use crate::model::{Cell, ListItem};

#[component]
pub(super) fn DeletePage() -> impl IntoView {
    let ids = use_query_map().with_untracked(|query| query.get_all("batch").unwrap_or_default()).join(" ");
    let refusal = posted_error().map(|error| view! { <p class="refusal" role="alert">{error.to_string()}</p> });
    Suspend::new(async move {
        let question = match list_named(&ids).await {
            Ok(items) => question(items).into_any(),
            Err(error) => view! { <p class="refusal" role="alert">{error.to_string()}</p> }.into_any(),
        };
        view! {
            <Title text="Delete batches · Quilt" />
            <section class="delete-page card">{refusal} {question}</section>
        }
    })
}

fn question(items: Vec<ListItem>) -> impl IntoView {
    let (open, ended): (Vec<ListItem>, Vec<ListItem>) =
        items.into_iter().partition(|item| !item.get(Cell::IsOpen).is_empty());
    let open = (!open.is_empty()).then(|| {
        view! {
            <p>"These are still running and will not be deleted. Cancel them first:"</p>
            <ul>{names(&open)}</ul>
        }
    });
    if ended.is_empty() {
        return view! {
            <h1>"Nothing to delete"</h1>
            {open.is_none().then(|| view! { <p>"Select at least one finished batch in the list."</p> })}
            {open}
            <p><a href="/#your-batches" class="button">"Back to the list"</a></p>
        }
        .into_any();
    }
    let count = match ended.len() {
        1 => "1 batch".to_owned(),
        count => format!("{count} batches"),
    };
    let ids: Vec<String> = ended.iter().map(|item| item.get(Cell::Id)).collect();
    view! {
        <h1>{format!("Delete {count}?")}</h1>
        <p>"This deletes their results, too. It cannot be undone."</p>
        <ul>{names(&ended)}</ul>
        {open}
        <form method="post" action=DeleteBatches::url() class="delete-actions">
            <input type="hidden" name="ids" value=ids.join(" ") />
            <button type="submit" class="button danger">{format!("Delete {count}")}</button>
            <a href="/#your-batches" class="button">"Keep"</a>
        </form>
    }
    .into_any()
}

fn names(items: &[ListItem]) -> Vec<impl IntoView + use<>> {
    let name = |item: &ListItem| {
        let (id, name, counts) = (item.get(Cell::Id), item.get(Cell::Name), item.get(Cell::Counts));
        view! {
            <li>
                <a href=format!("/batches/{id}")><bdi>{name}</bdi></a>
                " "
                <span class="quiet">{item.get(Cell::Kind)} " · " {counts} " · " {item.get(Cell::Started)}</span>
            </li>
        }
    };
    items.iter().map(name).collect()
}
