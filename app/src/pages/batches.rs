//! The visitor's list of batches: search, filters, pages, and the selection to delete.

use leptos::prelude::*;
use viewer::Condition;

use crate::actions::{ListFilter, ListPage};
use crate::components::home::BatchItem;
use crate::islands::BatchList;

/// What the visitor searches for, and from where.
#[derive(Clone)]
pub(super) struct Search {
    pub(super) filter: ListFilter,
    /// The cursor of the page before.
    pub(super) after: Option<u64>,
}

impl Search {
    /// The URL of the list after a cursor.
    fn url(&self, after: Option<u64>) -> String {
        let ListFilter { text, condition, kind } = &self.filter;
        let mut query = leptos_router::params::ParamsMap::new();
        let mut add = |name: &'static str, value: &str| {
            if !value.is_empty() {
                query.insert(name, value.to_owned());
            }
        };
        add("q", text);
        add("state", condition.map(Condition::as_str).unwrap_or_default());
        add("kind", kind);
        add("after", &after.map(|after| after.to_string()).unwrap_or_default());
        format!("/{}#your-batches", query.to_query_string())
    }
}

/// The batches that have not ended, which are updated, and a page of those that have.
#[component]
pub(super) fn Batches(page: ListPage, search: Search, kinds: Vec<String>) -> impl IntoView {
    let ListPage { open, ended, next } = page;
    let is_searching = !search.filter.is_empty();
    let is_empty = open.is_empty() && ended.is_empty();
    let empty = is_empty.then(|| {
        let text = match next {
            Some(_) => "No match so far. Older batches have not been searched yet.",
            None if is_searching => "No batch matches.",
            None => "There are no older batches.",
        };
        view! { <p class="quiet">{text}</p> }
    });
    let running = (!open.is_empty()).then(|| view! { <BatchList batches=open /> });
    let can_delete = !ended.is_empty();
    let ended = ended.into_iter().map(|item| view! { <BatchItem item=Signal::stored(item) /> });
    let ended = can_delete.then(|| view! { <ul class="batch-list">{ended.collect_view()}</ul> });
    let newest = search.after.is_some().then(|| view! { <a href=search.url(None) class="button">"Newest"</a> });
    let older = next.map(|next| {
        let text = if is_empty { "Search older batches" } else { "Older" };
        view! { <a href=search.url(Some(next)) class="button" rel="next">{text}</a> }
    });
    let select = view! {
        <form id="selection" action="/delete" class="selection">
            <button type="submit" class="button">"Delete selected…"</button>
        </form>
    };
    view! {
        <div class="batches-head">
            <h2 id="your-batches">"Your batches"</h2>
            <Filters search kinds />
        </div>
        {running}
        {ended}
        {empty}
        <div class="batches-foot">
            {(!is_empty).then_some(select)}
            <nav class="batch-pages" aria-label="Pages of your batches">{newest} {older}</nav>
        </div>
    }
}

/// The search as a plain form, which works without JavaScript.
#[component]
fn Filters(search: Search, kinds: Vec<String>) -> impl IntoView {
    let Search { filter: ListFilter { text, condition, kind }, .. } = search;
    let is_searching = !text.is_empty() || condition.is_some() || !kind.is_empty();
    let conditions =
        Condition::ALL.map(|known| (known.as_str().to_owned(), known.label().to_owned(), condition == Some(known)));
    let kinds = kinds.into_iter().map(|known| (known.clone(), known.clone(), known == kind)).collect::<Vec<_>>();
    view! {
        <form class="filters" role="search" aria-label="Your batches" action="/#your-batches">
            <label>
                <span>"Search"</span>
                <input type="search" name="q" value=text placeholder="title or label" />
            </label>
            {filter("state", "State", conditions)}
            {filter("kind", "Kind", kinds)}
            <button type="submit" class="button">"Apply"</button>
            {is_searching.then(|| view! { <a href="/#your-batches">"Clear"</a> })}
        </form>
    }
}

/// A choice of all or one of these: its value, its label, and whether it is chosen.
fn filter(
    name: &'static str,
    label: &'static str,
    choices: impl IntoIterator<Item = (String, String, bool)>,
) -> impl IntoView {
    let choice = |(value, label, selected)| view! { <option value=value selected=selected>{label}</option> };
    view! {
        <label>
            <span>{label}</span>
            <select name=name>
                <option value="">"all"</option>
                {choices.into_iter().map(choice).collect_view()}
            </select>
        </label>
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_keeps_the_search() {
        let filter =
            ListFilter { text: "a b&c".into(), condition: Some(Condition::PartlyFailed), kind: "color".into() };
        let search = Search { filter, after: None };
        let url = search.url(Some(7));
        for part in ["state=partly%2Dfailed", "kind=color", "after=7", "%26c"] {
            assert!(url.contains(part), "{url}");
        }
        assert_eq!(Search { filter: ListFilter::default(), after: Some(7) }.url(None), "/#your-batches");
    }
}
