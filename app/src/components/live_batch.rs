//! A batch as it goes on.

use leptos::html::Article;
use leptos::prelude::*;
use quilt::{Grid, Square, Status, Summary};

use crate::channel::{Channel, use_channel};
use crate::components::banner::Banner;
use crate::components::help::HELP;
use crate::components::page::Page;
use crate::components::panel::Panel;
use crate::components::post_form::{Refusal, submit};
use crate::components::quilt_view::QuiltView;
use crate::components::race_panel::RacePanel;
use crate::components::replay_bar::ReplayBar;
use crate::components::square_details::SquareDetails;
use crate::components::{address, connection_badge, controls, legend, progress_panel, tab, toolbar};
use crate::format;
use crate::look::Look;
use crate::model::BatchView;

/// Everything on the page of a batch. Connects, and follows the batch to its finish line and beyond.
#[island]
pub fn LiveBatch(
    /// The batch as the server saw it.
    view: BatchView,
    /// Why a form of this page was refused that was posted without JavaScript.
    refusal: Option<String>,
    /// The quilt as it is when the page is rendered.
    children: Children,
) -> impl IntoView {
    let BatchView { id, is_own, .. } = view;
    let grid = view.summary.spec.grid;
    let channel = use_channel(&view);
    let page = Page {
        id,
        is_own,
        grid,
        channel,
        look: RwSignal::new(Look::default()),
        focused: RwSignal::new(None::<Square>),
        chosen: RwSignal::new(None::<Square>),
        zoom: RwSignal::new(None),
        playback: RwSignal::new(None),
        has_seen_finish: RwSignal::new(false),
        notice: RwSignal::new(String::new()),
    };
    address::keep(page);
    tab::keep(page);
    let element = NodeRef::<Article>::new();
    // One effect for all of them, rather than one each.
    Effect::new(move |_| {
        let Some(element) = element.get() else { return };
        for (name, value) in state_of(channel) {
            if element.get_attribute(name).as_deref() != Some(&value) {
                // Valid names.
                let _ = element.set_attribute(name, &value);
            }
        }
    });
    let [status, lap, done, failed, total, connection] = state_of(channel).map(|(_, value)| value);
    let summary = channel.summary;
    let kind = view.summary.spec.work.kind;
    let subtitle = Signal::derive(move || subtitle(channel, &kind));
    let badge = Signal::derive(move || connection_badge::html(channel.connection.get()));
    let controls =
        Memo::new(move |_| if is_own { summary.with(|summary| controls::html(id, summary)) } else { String::new() });
    let concurrency =
        Memo::new(
            move |_| {
                if is_own { summary.with(|summary| controls::concurrency_html(id, summary)) } else { String::new() }
            },
        );
    let progress = Signal::derive(move || progress_panel::html(channel));
    let legend = Signal::derive(move || legend::html(channel, page.look.get()));
    let toolbar = Signal::derive(move || toolbar::html(page));
    let notice = Signal::derive(move || format!("<span>{}</span>", page.notice.get()));
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
            on:click=move |event| page.on_click(&event)
            on:input=move |event| page.on_input(&event)
            on:keydown=move |event| page.on_key(&event)
            on:submit=move |event| submit(&event)
        >
            <div class="batch-head">
                <div>
                    <h1>{shape(grid)}</h1>
                    <Panel html=subtitle />
                </div>
                <div class="batch-tools posting">
                    <div class="connection-place" role="status" aria-label="Connection"><Panel html=badge /></div>
                    <Panel html=controls.into() />
                    <Refusal reason=refusal />
                </div>
            </div>
            <div class="batch-body">
                <div class="batch-side">
                    <section class="progress-panel" aria-label="Progress"><Panel html=progress /></section>
                    <div class="posting">
                        <Panel html=concurrency.into() />
                        <Refusal />
                    </div>
                </div>
                <div class="batch-quilt">
                    <div class="legend"><Panel html=legend /></div>
                    <QuiltView page>{children()}</QuiltView>
                    <div class="toolbar"><Panel html=toolbar /></div>
                    <div class="notice" role="status" aria-label="Notice"><Panel html=notice /></div>
                    <ReplayBar page />
                    <SquareDetails page />
                </div>
                <Banner page />
            </div>
            <RacePanel page />
            <div inner_html=HELP></div>
        </article>
    }
}

/// What the page says of its state to scripts.
fn state_of(channel: Channel) -> [(&'static str, String); 6] {
    let (lap, progress) = channel.summary.with(|summary| (summary.lap, summary.progress));
    [
        ("data-status", channel.status_word().into()),
        ("data-lap", lap.to_string()),
        ("data-done", progress.done.to_string()),
        ("data-failed", progress.failed.to_string()),
        ("data-total", progress.tasks.to_string()),
        ("data-connection", channel.connection.get().as_str().into()),
    ]
}

fn subtitle(channel: Channel, kind: &str) -> String {
    channel.summary.with(|summary| {
        let tasks = format::count(summary.progress.tasks);
        let lap = if summary.lap > 1 { format!(" · lap {}", summary.lap) } else { String::new() };
        let paused = if summary.status == Status::Paused { " · paused" } else { "" };
        format!(r#"<p class="quiet">{tasks} {} tasks{lap}{paused}</p>"#, crate::html::escaped(kind))
    })
}

/// What the tab says.
pub(crate) fn title(summary: &Summary) -> String {
    let shape = shape(summary.spec.grid);
    let percent = u64::from(summary.progress.settled()) * 100 / u64::from(summary.progress.tasks.max(1));
    match summary.status {
        Status::Running => format!("{percent}% · {shape} · Quilt"),
        Status::Paused => format!("{percent}% · paused · {shape} · Quilt"),
        Status::Finished => format!("Finished · {shape} · Quilt"),
        Status::Cancelled => format!("Cancelled · {shape} · Quilt"),
    }
}

pub(crate) fn shape(grid: Grid) -> String {
    format!("{} × {}", grid.rows(), grid.columns())
}
