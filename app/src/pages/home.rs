//! `/`: an introduction for new visitors, the launch form, and this visitor's batches.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;
use leptos_router::params::ParamsMap;
use viewer::{Condition, words};

use super::batches::{Batches, Search};
use super::hero::Hero;
use super::launch_form::{Filled, LaunchTabs, Launchable};
use super::refusal::posted_error;
use crate::actions::{self, Again, Deletion, FROM, ListFilter, ListPage, Values};
use crate::draft::Draft;
use crate::model::ActionError;

#[component]
pub(super) fn HomePage() -> impl IntoView {
    let query = use_query_map().with_untracked(ParamsMap::clone);
    let posted = posted_error();
    let deletion = Deletion::take();
    let draft = Draft::posted();
    Suspend::new(async move {
        let kinds = launchables();
        let search = search_of(&query, &kinds);
        let page = actions::list(&search.filter, search.after).await;
        let is_empty = page.as_ref().is_ok_and(|page| page.open.is_empty() && page.ended.is_empty());
        let is_new = is_empty && search.filter.is_empty() && search.after.is_none() && deletion.is_none();
        // A refused form comes first on its page.
        let has_hero = is_new && draft.is_none();
        let from = query.get("from").or_else(|| draft.as_ref()?.get(FROM).cloned());
        let (chosen, filled, refusal) = match from {
            Some(id) => match actions::again(&id).await {
                Ok(Again { id, name, kind, values, reused }) => {
                    (Some(kind), Filled { values, from: Some((id, name)), reused, is_draft: false }, posted)
                }
                Err(error) => (None, Filled::default(), Some(error)),
            },
            None => (query.get("work"), Filled::default(), posted),
        };
        let (chosen, filled) = match draft {
            Some(fields) => {
                let kind = fields.get("kind").cloned();
                (kind, Filled { values: Values::of_fields(fields), is_draft: true, ..filled })
            }
            None => (chosen, filled),
        };
        let chosen = chosen.filter(|chosen| kinds.iter().any(|launchable| launchable.kind == *chosen));
        // Real work comes before demos.
        let chosen = chosen.or_else(|| kinds.first().map(|first| first.kind.to_owned())).unwrap_or_default();
        let filled = match example_of(&query, &kinds, &chosen) {
            Some(values) if filled.from.is_none() && !filled.is_draft => Filled { values, ..filled },
            _ => filled,
        };
        // Names are left out while the journal cannot be read; the rest of the page says so.
        let deleted = match deletion {
            Some(result) => deletion_view(result).await.ok(),
            None => None,
        };
        let names = kinds.iter().map(|launchable| launchable.kind.to_owned()).collect();
        let batches = match page {
            Ok(page) => batches(page, search, names, is_new).into_any(),
            Err(error) => view! { <p class="refusal">{error.to_string()}</p> }.into_any(),
        };
        view! {
            <div class="home">
                {if has_hero {
                    view! { <Hero /> }.into_any()
                } else {
                    view! { <h1 class="visually-hidden">"Launch a batch"</h1> }.into_any()
                }}
                {deleted}
                <section class="card" id="launch" aria-label="Launch a batch">
                    <LaunchTabs kinds chosen filled refusal />
                </section>
                <section class="batches" aria-labelledby="your-batches">{batches}</section>
            </div>
        }
    })
}

/// The kinds of work that have a form, demos last.
fn launchables() -> Vec<Launchable> {
    let engine = crate::server::engine();
    let kinds = engine.registry().kinds();
    let mut kinds: Vec<Launchable> =
        kinds.filter_map(|kind| Some(Launchable { kind: kind.name(), form: kind.form()? })).collect();
    kinds.sort_by_key(|launchable| launchable.form.is_demo);
    kinds
}

/// The values of the example that the URL names.
fn example_of(query: &ParamsMap, kinds: &[Launchable], chosen: &str) -> Option<Values> {
    let place: usize = query.get_str("example")?.parse().ok()?;
    let launchable = kinds.iter().find(|launchable| launchable.kind == chosen)?;
    launchable.form.examples.get(place).map(Values::of_example)
}

/// What the URL searches for. Unknown words are ignored.
fn search_of(query: &ParamsMap, kinds: &[Launchable]) -> Search {
    let word = query.get("state").unwrap_or_default();
    let kind = query.get("kind").filter(|kind| kinds.iter().any(|launchable| launchable.kind == *kind));
    let filter = ListFilter {
        text: query.get("q").unwrap_or_default().trim().to_owned(),
        condition: Condition::ALL.into_iter().find(|condition| condition.as_str() == word),
        kind: kind.unwrap_or_default(),
    };
    Search { filter, after: query.get_str("after").and_then(|after| after.parse().ok()) }
}

fn batches(page: ListPage, search: Search, kinds: Vec<String>, is_new: bool) -> impl IntoView {
    if is_new {
        return view! {
            <h2 id="your-batches">"Your batches"</h2>
            <p class="quiet">"No batches yet. They will appear here."</p>
        }
        .into_any();
    }
    view! { <Batches page search kinds /> }.into_any()
}

/// How many batches were deleted, and which were not.
async fn deletion_view(Deletion { deleted, kept }: Deletion) -> Result<AnyView, ActionError> {
    let (engine, visitor) = (crate::server::engine(), crate::server::visitor()?);
    let mut items = Vec::new();
    for (id, reason) in &kept {
        let summary = engine.own_summary(*id, visitor).await?;
        let name = summary.map_or_else(|| id.to_string(), |summary| words::name(&summary));
        items.push(view! { <li><bdi>{name}</bdi> " " {reason.sentence()}</li> });
    }
    let deleted = match deleted {
        0 if kept.is_empty() => "Nothing was deleted: the batches were gone already.".to_owned(),
        0 => "No batch was deleted.".to_owned(),
        1 => "1 batch deleted.".to_owned(),
        deleted => format!("{deleted} batches deleted."),
    };
    let kept = (!items.is_empty()).then(|| view! { <ul>{items}</ul> });
    Ok(view! { <div class="deletion" role="status"><p>{deleted}</p>{kept}</div> }.into_any())
}
