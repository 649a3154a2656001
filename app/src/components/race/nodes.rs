//! The list of nodes.

use leptos::prelude::*;
use quilt::wire::NodeLoad;
use viewer::format;

use super::rows::sorted;
use crate::components::shared::{Each, When, each, flag, keys};
use crate::live::use_batch;

/// The nodes of the cluster, if there is more than one.
#[component]
pub(crate) fn Nodes() -> impl IntoView {
    let load = use_batch().channel.signals.load;
    let nodes = keys(move || {
        let load = load.get().filter(|load| load.nodes.len() > 1);
        sorted(load.iter().flat_map(|load| load.nodes.iter().map(describe)))
    });
    view! {
        <When condition=flag(move || nodes.with(|nodes| !nodes.is_empty()))>
            <section class="nodes" aria-label="Nodes">
                <h3>"Nodes"</h3>
                <ul>
                    <Each keys=nodes view=each(item) />
                </ul>
            </section>
        </When>
    }
}

/// The text for a node. It starts with the name, which contains no spaces.
fn describe(node: &NodeLoad) -> String {
    let does = match node.slots {
        0 => "serves".into(),
        1 => "1 task at a time".into(),
        slots => format!("{} tasks at a time", format::count(slots)),
    };
    format!("{} {does}, on {}, version {}", node.name, node.host, node.version)
}

/// Renders the text of [`describe`] with the name in bold.
fn item(node: String) -> impl IntoView {
    let (name, words) = node.split_once(' ').unwrap_or_default();
    let (name, words) = (name.to_owned(), format!(" {words}"));
    view! { <li><b>{name}</b>{words}</li> }
}
