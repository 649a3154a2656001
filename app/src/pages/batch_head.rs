//! The heading of a batch's page: what it is, who launched it and when, its parameters, and how to launch it from a terminal.

use api::LaunchRequest;
use engine::work::{FieldKind, remove_input};
use leptos::prelude::*;
use leptos_meta::Meta;
use quilt::{BatchSpec, Halt, Priority, Tolerance};
use serde_json::Value;
use viewer::{format, words};

use super::time::Moment;
use crate::actions::percent;
use crate::model::BatchView;
use crate::server::{engine, origin};

/// The heading, with everything about the batch that does not change.
#[component]
pub(super) fn BatchHead(view: BatchView) -> impl IntoView {
    let BatchView { id, is_own, summary, .. } = view;
    let spec = &summary.spec;
    let tasks = format!("{} {} tasks", format::count(spec.grid.squares()), spec.work.kind);
    let by = if is_own { "by you" } else { "by someone else: you can watch it, but not control it" };
    let title = words::name(&summary);
    let about = format!("{tasks}, {}", format::shape(spec.grid));
    let origin = origin();
    let path = format!("/batches/{id}");
    view! {
        <Meta property="og:type" content="website" />
        <Meta property="og:site_name" content="Quilt" />
        <Meta property="og:title" content=title.clone() />
        <Meta property="og:description" content=about.clone() />
        <Meta property="og:url" content=format!("{origin}{path}") />
        <Meta property="og:image" content=format!("{origin}{path}/quilt.png?side=512") />
        <Meta name="twitter:card" content="summary_large_image" />
        <header class="batch-head">
            <h1><bdi>{title}</bdi></h1>
            <p class="quiet">
                {about} " · launched " <Moment at=summary.created_at /> " " {by}
            </p>
            <details class="batch-facts">
                <summary>"Parameters and limits"</summary>
                <dl>{facts(spec).into_iter().map(|(name, value)| view! { <dt>{name}</dt><dd><bdi>{value}</bdi></dd> }).collect_view()}</dl>
                <p>"Launch it from a terminal:"</p>
                <pre tabindex="0">{curl(&origin, spec)}</pre>
                <p>"Watch it from a terminal:"</p>
                <pre tabindex="0">{format!("quilt watch {}", shell_word(&format!("{origin}{path}")))}</pre>
            </details>
        </header>
    }
}

/// The parameters of the work, in the words of its form, and the limits that were set.
fn facts(spec: &BatchSpec) -> Vec<(String, String)> {
    let form = engine().registry().kind(&spec.work.kind).and_then(|kind| kind.form());
    let fields = form.map(|form| form.fields).unwrap_or_default();
    let parameter = |(name, value): (&String, &Value)| {
        let field = fields.iter().find(|field| field.name == name);
        let label = match field.map(|field| (field.label, &field.kind)) {
            Some((least, FieldKind::Range { other_label, .. })) => {
                format!("{least} and {}", other_label.to_lowercase())
            }
            Some((label, _)) => label.into(),
            None => name.replace('_', " "),
        };
        (label, readable(value))
    };
    let mut work = spec.work.clone();
    remove_input(&mut work);
    let mut facts: Vec<(String, String)> = work.parameters.iter().map(parameter).collect();
    let mut add = |name: &str, value: Option<String>| facts.extend(value.map(|value| (name.into(), value)));
    add("Attempts per task, at most", Some(spec.attempts.to_string()));
    add("Timeout per attempt", Some(format::duration(spec.timeout_ms.into())));
    add("Concurrency limit", spec.concurrency.map(format::count));
    add("Stopped if more fail than", spec.tolerated_failures.map(tolerance));
    add("Tasks that run then", (spec.halt == Halt::Soon).then(|| "may end".into()));
    add("Deadline", spec.deadline_ms.map(|deadline| format::duration(deadline.into())));
    add("Priority", (spec.priority != Priority::default()).then(|| spec.priority.as_str().into()));
    add("Order", Some(spec.order.as_str().into()));
    add("Seed", Some(spec.seed.to_string()));
    facts.extend(spec.labels_by_name());
    facts
}

fn tolerance(tolerance: Tolerance) -> String {
    match tolerance {
        Tolerance::Share(share) => format!("{} %", percent(share)),
        Tolerance::Count(count) => format::count(count),
    }
}

fn readable(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(readable).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// The request that launches the same batch. An input is not part of it, so the reader has to add a file.
fn curl(origin: &str, spec: &BatchSpec) -> String {
    let mut request: LaunchRequest = spec.clone().into();
    request.not_before = None;
    let has_input = remove_input(&mut request.work);
    let json = serde_json::to_string(&request).unwrap_or_default();
    let url = shell_word(&format!("{origin}/api/batches"));
    if has_input {
        // With `-F`, curl would interpret what follows a semicolon in the value.
        format!("curl {url} --form-string {} -F file=@FILE", shell_word(&format!("launch={json}")))
    } else {
        format!("curl {url} --json {}", shell_word(&json))
    }
}

/// Quotes a word for a POSIX shell.
fn shell_word(word: &str) -> String {
    let is_plain = word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte));
    if is_plain && !word.is_empty() { word.into() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::shell_word;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(shell_word("http://[::1]/batches"), "'http://[::1]/batches'");
        assert_eq!(shell_word("https://a.example/b"), "https://a.example/b");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word(""), "''");
    }
}
