//! What can be done with the view of a quilt.

use crate::page::State;

/// Larger and smaller where the quilt is on a canvas, the way to a square, and what can be taken along.
pub(super) fn html(state: &State) -> String {
    let id = state.id;
    let zoom = match state.zoom {
        Some(zoom) => {
            let scale = format!("{:.1}", zoom.scale);
            format!(
                concat!(
                    r#"<div class="zoom" role="group" aria-label="Zoom"><button type="button" id="zoom-out" data-do="zoom:out" aria-label="Smaller">−</button>"#,
                    r#"<button type="button" id="zoom-whole" data-do="zoom:whole">Whole quilt</button>"#,
                    r#"<button type="button" id="zoom-in" data-do="zoom:in" aria-label="Larger">+</button></div>"#,
                    r#"<span class="quiet scale-now">{scale} px a square</span>"#
                ),
                scale = scale
            )
        }
        None => String::new(),
    };
    let has_failed = state.summary.progress.failed > 0;
    let next_failure = if has_failed {
        r#"<button type="button" class="link" id="next-failure" data-do="next-failure">Next failure</button>"#
    } else {
        ""
    };
    let notify = if state.is_running() {
        r#"<button type="button" class="link" id="notify" data-do="notify">Notify me</button>"#
    } else {
        ""
    };
    // Tasks that draw have drawn it pixel by pixel. Of others there is a picture that is large enough to see.
    let picture = match state.summary.spec.work.kind.as_str() {
        "image" | "render" => format!("/api/batches/{id}/results?format=png"),
        _ => format!("/batches/{id}/quilt.png"),
    };
    format!(
        concat!(
            r#"{zoom}{next_failure}<button type="button" class="link" id="copy-link" data-do="copy-link">Copy link</button>"#,
            r#"<a class="link" id="download" href="{picture}" download="quilt-{id}.png">Download PNG</a>{notify}"#,
            r#"<button type="button" class="link" id="open-help" data-do="help">Keys</button>"#
        ),
        zoom = zoom,
        next_failure = next_failure,
        id = id,
        picture = picture,
        notify = notify,
    )
}
