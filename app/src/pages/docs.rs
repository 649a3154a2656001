//! The documentation that the server carries, so that it fits its version: pages of `docs/`, rendered from Markdown.

use std::sync::LazyLock;

use leptos::prelude::*;
use leptos_meta::Title;
use leptos_router::hooks::use_params_map;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::not_found::NotFound;

/// The page that the header links to.
pub(super) const FIRST: &str = "/docs/command-line";

/// The HTTP API.
pub(super) const API: &str = "/docs/api";

/// A page of `docs/`.
struct Page {
    /// The last part of its address, and the name of its file without `.md`.
    name: &'static str,
    title: &'static str,
    markdown: &'static str,
}

/// The pages, in the order of their links.
const PAGES: [Page; 7] = [
    page("command-line", "Command line", include_str!("../../../docs/command-line.md")),
    page("api", "HTTP API", include_str!("../../../docs/api.md")),
    page("work", "Kinds of work", include_str!("../../../docs/work.md")),
    page("adding-work", "Add a kind of work", include_str!("../../../docs/adding-work.md")),
    page("operations", "Running a server", include_str!("../../../docs/operations.md")),
    page("limits", "Limits", include_str!("../../../docs/limits.md")),
    page("performance", "Performance", include_str!("../../../docs/performance.md")),
];

const fn page(name: &'static str, title: &'static str, markdown: &'static str) -> Page {
    Page { name, title, markdown }
}

/// The pages as HTML, in the order of [`PAGES`].
static RENDERED: LazyLock<Vec<String>> = LazyLock::new(|| PAGES.iter().map(|page| render(page.markdown)).collect());

/// A page of the documentation, with links to the others.
#[component]
pub(super) fn DocsPage() -> impl IntoView {
    let name = use_params_map().with_untracked(|params| params.get("name")).unwrap_or_default();
    let known = PAGES.iter().zip(RENDERED.iter()).find(|(page, _)| page.name == name);
    let Some((page, rendered)) = known else { return view! { <NotFound /> }.into_any() };
    let link = |other: &Page| {
        let current = (other.name == page.name).then_some("page");
        view! { <li><a href=address(other) aria-current=current>{other.title}</a></li> }
    };
    view! {
        <Title text=format!("{} · Quilt", page.title) />
        <div class="docs">
            <nav aria-label="Documentation">
                <ul>{PAGES.iter().map(link).collect_view()}</ul>
            </nav>
            <article class="prose" inner_html=rendered.as_str()></article>
        </div>
    }
    .into_any()
}

fn address(page: &Page) -> String {
    format!("/docs/{}", page.name)
}

fn render(markdown: &str) -> String {
    // Links do not contain links.
    let mut is_dropped = false;
    let events = Parser::new_ext(markdown, Options::ENABLE_TABLES).filter_map(|event| match event {
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let target = target(&dest_url);
            is_dropped = target.is_none();
            target.map(|dest_url| Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Link) if is_dropped => None,
        event => Some(event),
    });
    let mut rendered = String::new();
    html::push_html(&mut rendered, events);
    // Wide tables and long lines scroll, and whoever has no pointer can focus them to do so.
    rendered
        .replace("<pre>", r#"<pre tabindex="0">"#)
        .replace("<table>", r#"<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>"#)
        .replace("</table>", "</table></div>")
}

/// The address of a link on a page of this server. `None` for files that it does not serve, such as source code.
fn target(link: &str) -> Option<CowStr<'static>> {
    if link.starts_with("https://") {
        return Some(link.to_owned().into());
    }
    let name = link.strip_suffix(".md")?;
    PAGES.iter().find(|page| page.name == name).map(|page| address(page).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_rendered_with_links_that_this_server_has() {
        for (page, rendered) in PAGES.iter().zip(RENDERED.iter()) {
            assert!(rendered.starts_with("<h1>"), "{}", page.name);
            for link in rendered.split("href=\"").skip(1) {
                let link = link.split('"').next().unwrap_or_default();
                let is_known = PAGES.iter().any(|page| address(page) == link);
                assert!(is_known || link.starts_with("https://"), "{}: {link}", page.name);
            }
        }
        assert!([FIRST, API].iter().all(|link| PAGES.iter().any(|page| address(page) == **link)));
    }

    #[test]
    fn links_to_files_that_are_not_served_are_text() {
        assert_eq!(
            render("See [one](limits.md) and [two](../Cargo.toml)."),
            "<p>See <a href=\"/docs/limits\">one</a> and two.</p>\n"
        );
    }
}
