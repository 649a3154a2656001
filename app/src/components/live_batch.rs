//! A batch as it goes on.

use leptos::html::Article;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use crate::components::post_form::Refusal;
use crate::components::quilt_stage::QuiltStage;
use crate::format;
use crate::model::BatchView;
use crate::page::{Page, State, attributes};
use crate::panels::Panel;
use crate::panels::help::HELP;

/// Everything on the page of a batch. Connects, and follows the batch to its finish line and beyond.
#[island]
pub fn LiveBatch(
    /// The batch as the server saw it, as `BatchView::encode` writes it.
    view: String,
    /// The columns of the kind's own in the table of results, as `Results::new` reads them.
    columns: String,
    /// Why a form of this page was refused that was posted without JavaScript.
    refusal: Option<String>,
    /// The squares as they are when the page is rendered.
    children: Children,
) -> impl IntoView {
    let Some(view) = BatchView::decode(&view) else { return ().into_any() };
    let id = view.id;
    let state = State::new(view, &columns);
    let grid = state.grid;
    let slot = |panel: Panel| panel.whole(&state);
    let [status, lap, done, failed, total, connection, _] = attributes(&state).map(|(_, value)| value);
    let head = format!(r#"<h1>{}</h1>{}"#, format::shape(grid), slot(Panel::Subtitle));
    let tools = format!(
        r#"<div class="connection-place" role="status" aria-label="Connection">{}</div>{}"#,
        slot(Panel::Connection),
        slot(Panel::Controls)
    );
    let progress =
        format!(r#"<section class="progress-panel" aria-label="Progress">{}</section>"#, slot(Panel::Progress));
    let concurrency = slot(Panel::Concurrency);
    let legend = slot(Panel::Legend);
    let below = format!(
        concat!(
            r#"<div class="readout" aria-hidden="true">{readout}</div><div class="toolbar">{go_to}{toolbar}</div>"#,
            r#"<div class="notice" role="status" aria-label="Notice">{notice}</div><div class="replay">{replay}</div>"#,
            r#"<section class="attempts" aria-label="Attempts">{square}</section>"#
        ),
        readout = slot(Panel::Readout),
        // Not a part of the panel, so that nobody's typing is lost.
        go_to = r#"<label class="go-to">Go to <input id="go-to" size="9" placeholder="row,column" autocomplete="off"></label>"#,
        toolbar = slot(Panel::Toolbar),
        notice = slot(Panel::Notice),
        replay = slot(Panel::Replay),
        square = slot(Panel::Square),
    );
    let banner = slot(Panel::Banner);
    let is_race_open = state.is_race_open;
    let race = slot(Panel::Race);
    let (results_count, results) = (slot(Panel::ResultsCount), slot(Panel::Results));
    let file = |format| format!("/api/batches/{id}/results?format={format}");
    let file_name = |extension| format!("quilt-{id}.{extension}");
    let page = Page::new(state);
    let element = NodeRef::<Article>::new();
    // Effects run in the browser alone.
    Effect::new(move |_| {
        let Some(article) = element.get() else { return };
        let quilt = article.query_selector("[role=grid]").ok().flatten();
        if let Some(quilt) = quilt.and_then(|quilt| quilt.dyn_into().ok()) {
            page.start(&article, &quilt);
        }
    });
    view! {
        <article
            class="batch"
            data-status=status
            data-lap=lap
            data-done=done
            data-failed=failed
            data-total=total
            data-connection=connection
            node_ref=element
        >
            <div class="batch-head">
                <div inner_html=head></div>
                <div class="batch-tools posting">
                    <div class="batch-tools-parts" inner_html=tools></div>
                    <Refusal reason=refusal />
                </div>
            </div>
            <div class="batch-body">
                <div class="batch-side">
                    <div inner_html=progress></div>
                    <div class="posting">
                        <div inner_html=concurrency></div>
                        <Refusal />
                    </div>
                </div>
                <div class="batch-quilt">
                    <div class="legend" inner_html=legend></div>
                    <QuiltStage grid>{children()}</QuiltStage>
                    <div class="below-quilt" inner_html=below></div>
                </div>
                <div class="banner-place posting" role="status" aria-label="Finish" aria-atomic="false" inner_html=banner></div>
            </div>
            <details class="race" id="race" open=is_race_open>
                <summary>"The race"</summary>
                <div inner_html=race></div>
            </details>
            <details class="results" id="results">
                <summary>"Results"</summary>
                <div class="results-tools">
                    <span class="results-tool">
                        <label for="results-filter">"Find"</label>
                        <input type="search" id="results-filter" autocomplete="off" spellcheck="false" />
                    </span>
                    <span class="results-tool">
                        <label for="results-only">"Show"</label>
                        <select id="results-only">
                            <option value="">"all squares"</option>
                            <option value="done">"done"</option>
                            <option value="failed">"failed"</option>
                            <option value="pending">"pending"</option>
                        </select>
                    </span>
                    <div class="results-count" role="status" aria-label="Rows" inner_html=results_count></div>
                    <span class="results-files">
                        <button type="button" class="link" data-do="load-results">"Load again"</button>
                        <a class="link" href=file("csv") download=file_name("csv")>"CSV"</a>
                        <a class="link" href=file("ndjson") download=file_name("ndjson")>"NDJSON"</a>
                        <a class="link" href=file("png") download=file_name("png")>"PNG"</a>
                    </span>
                </div>
                <div class="results-scroll" id="results-scroll" tabindex="0" role="region" aria-label="Table of results" inner_html=results></div>
            </details>
            <div inner_html=HELP></div>
        </article>
    }
    .into_any()
}
