//! Checks that only Leptos creates HTML: other code must not write HTML as text or look up elements by id or selector.

use std::path::Path;

use anyhow::Result;
use proc_macro2::{TokenStream, TokenTree};

use super::source::{rust_files, tokens};

/// The folders that are checked.
const FOLDERS: [&str; 3] = ["app/src", "crates/painter", "crates/viewer"];

/// Functions and properties that write HTML as text or look up elements.
const FORBIDDEN: [&str; 5] =
    ["inner_html", "set_inner_html", "set_outer_html", "insert_adjacent_html", "get_element_by_id"];

/// An attribute that connects an element to its behavior, which Leptos does with event handlers.
const COMMAND_ATTRIBUTE: &str = "data-do";

/// An exception.
#[derive(Debug)]
struct Allowed {
    /// A file, or a folder with a trailing slash.
    path: &'static str,
    name: &'static str,
    reason: &'static str,
}

/// Unused exceptions are reported.
const ALLOWED: &[Allowed] = &[
    allow("app/src/components/batch/help.rs", "inner_html", "constant help text"),
    allow("app/src/pages/docs.rs", "inner_html", "the documentation, rendered from Markdown of this repository"),
    allow("app/src/pages/batch.rs", "inner_html", "the rows of squares, too many for a view each"),
];

const fn allow(path: &'static str, name: &'static str, reason: &'static str) -> Allowed {
    Allowed { path, name, reason }
}

impl Allowed {
    fn covers(&self, path: &str, found: &Use) -> bool {
        let is_here = if self.path.ends_with('/') { path.starts_with(self.path) } else { path == self.path };
        is_here && self.name == found.name
    }
}

/// A use of a forbidden name.
#[derive(Debug, PartialEq, Eq)]
struct Use {
    name: &'static str,
    line: usize,
}

/// Returns forbidden uses without an exception, and unused exceptions.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut uses = Vec::new();
    for file in FOLDERS.iter().map(|folder| rust_files(&root.join(folder))).collect::<Result<Vec<_>>>()?.concat() {
        let path = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        uses.extend(uses_in(tokens(&file)?).into_iter().map(|found| (path.clone(), found)));
    }
    Ok(compare(&uses, ALLOWED))
}

fn compare(uses: &[(String, Use)], allowed: &[Allowed]) -> Vec<String> {
    let offences = uses.iter().filter(|(path, found)| !allowed.iter().any(|allowed| allowed.covers(path, found)));
    let offences = offences.map(|(path, Use { name, line })| {
        format!("{path}:{line}: `{name}` goes past Leptos; where that has to be, xtask/src/lint/markup.rs lists it with its reason")
    });
    let unused = allowed.iter().filter(|allowed| !uses.iter().any(|(path, found)| allowed.covers(path, found)));
    let unused = unused.map(|Allowed { path, name, reason }| {
        format!("{path} does not use `{name}` ({reason}); take it off the list in xtask/src/lint/markup.rs")
    });
    offences.chain(unused).collect()
}

fn uses_in(tokens: TokenStream) -> Vec<Use> {
    let mut uses = Vec::new();
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (at, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        match token {
            TokenTree::Ident(ident) => {
                uses.extend(FORBIDDEN.iter().find(|name| ident == **name).map(|name| Use { name, line }));
                // In `view!`, the attribute consists of three tokens.
                let is_attribute = ident == "data"
                    && matches!(tokens.get(at + 1), Some(TokenTree::Punct(dash)) if dash.as_char() == '-')
                    && matches!(tokens.get(at + 2), Some(TokenTree::Ident(last)) if last == "do");
                uses.extend(is_attribute.then_some(Use { name: COMMAND_ATTRIBUTE, line }));
            }
            TokenTree::Literal(literal) => {
                let text = literal.to_string();
                // Ignores longer names that start with it.
                let is_whole =
                    |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric() || "-_".contains(next));
                let has_attribute = text.split(COMMAND_ATTRIBUTE).skip(1).any(is_whole);
                uses.extend(has_attribute.then_some(Use { name: COMMAND_ATTRIBUTE, line }));
            }
            TokenTree::Group(group) if !is_doc(&tokens, at) => uses.extend(uses_in(group.stream())),
            TokenTree::Group(_) | TokenTree::Punct(_) => {}
        }
    }
    uses
}

/// Whether the group at an index is the text of a doc comment, which is parsed as `#[doc = "..."]`.
fn is_doc(tokens: &[TokenTree], at: usize) -> bool {
    let Some(TokenTree::Group(group)) = tokens.get(at) else { return false };
    let before = at.checked_sub(1).and_then(|at| tokens.get(at));
    let is_attribute = matches!(before, Some(TokenTree::Punct(mark)) if ['#', '!'].contains(&mark.as_char()));
    is_attribute && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(name)) if name == "doc")
}

#[cfg(test)]
mod tests {
    use super::super::source::tokens_of;
    use super::*;

    fn found(source: &str) -> Vec<(&'static str, usize)> {
        uses_in(tokens_of(source).expect("Rust")).into_iter().map(|found| (found.name, found.line)).collect()
    }

    #[test]
    fn html_as_text_and_elements_by_name_are_found() {
        let source = r##"
            fn page() -> impl IntoView {
                view! { <p inner_html=text></p><button data-do="pause">"Pause"</button> }
            }
            fn old() {
                document().get_element_by_id("x").unwrap().set_inner_html(r#"<b data-do="stop">"#);
            }
        "##;
        let expected =
            [("inner_html", 3), ("data-do", 3), ("get_element_by_id", 6), ("set_inner_html", 6), ("data-do", 6)];
        assert_eq!(found(source), expected);
    }

    #[test]
    fn comments_and_other_names_are_no_uses() {
        let source = "
            //! Not with inner_html.
            /// Nor with data-do, `set_inner_html`.
            // get_element_by_id
            fn inner_html_of(data: u8, done: u8) -> u8 { data - done }
            const A: &str = \"<i data-done=1 data-do_=2>\";
        ";
        assert_eq!(found(source), []);
    }

    #[test]
    fn what_is_listed_is_allowed_as_long_as_it_is_used() {
        let uses = [("app/src/a.rs".to_owned(), Use { name: "inner_html", line: 7 })];
        for path in ["app/src/a.rs", "app/src/"] {
            assert_eq!(compare(&uses, &[allow(path, "inner_html", "rows")]), [""; 0]);
        }
        let others = [allow("app/src/b.rs", "inner_html", "rows"), allow("app/src/a.rs", "data-do", "rows")];
        let problems = compare(&uses, &others);
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert!(problems[0].starts_with("app/src/a.rs:7: `inner_html`"));
        assert!(problems[1].starts_with("app/src/b.rs does not use `inner_html` (rows)"));
    }
}
