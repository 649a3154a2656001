//! The quilt: server-rendered elements or a canvas.

use leptos::html::Div;
use leptos::prelude::*;
use quilt::number::decimal;
use quilt::{Grid, Square};
use viewer::{keys, layout};
use web_sys::KeyboardEvent;

use crate::components::shared::{When, flag, on, text};
use crate::live::pointer::{Pointer, square_of};
use crate::live::stage::use_painter;
use crate::live::{Batch, use_batch};

/// An ARIA grid. The painter updates its rows, because components would need an effect for each of thousands of squares.
#[component]
pub(crate) fn QuiltGrid(
    /// The squares as they were when the page was rendered.
    children: Children,
) -> impl IntoView {
    let batch = use_batch();
    let element = NodeRef::<Div>::new();
    use_painter(batch.stage, batch.channel, batch.view, element);
    let pointer = Pointer::new(batch);
    let summary = batch.channel.signals.summary;
    let grid = move || summary.get().spec.grid;
    let act = move || on(move |event| pointer.act(&event));
    view! {
        <div class="frame">
            <div
                class="quilt"
                role="grid"
                aria-label="Quilt"
                aria-readonly="true"
                aria-rowcount=text(move || grid().rows().to_string())
                aria-colcount=text(move || grid().columns().to_string())
                data-size=text(move || size_class(layout::layout(grid())).into())
                node_ref=element
                on:keydown=on(move |event| on_key(batch, &event))
                on:focusin=on(move |event: web_sys::FocusEvent| on_focus(batch, square_of(&event)))
                on:click=on(move |event| pointer.click(&event))
                on:mousemove=on(move |event| pointer.hover(&event))
                on:mouseleave=on(move |_| batch.view.pointed_at.set(None))
                on:pointerdown=act()
                on:pointermove=act()
                on:pointerup=act()
                on:pointercancel=act()
                on:wheel=on(move |event| pointer.wheel(&event))
            >
                {children()}
            </div>
            <Picture />
        </div>
    }
}

/// The picture that the tasks drew, over their squares. Pointer events go through it.
#[component]
fn Picture() -> impl IntoView {
    let batch = use_batch();
    let view = batch.view;
    let is_shown = flag(move || view.is_picture.get() && !batch.channel.is_running());
    let place = text(move || match view.zoom.get() {
        Some(zoom) => {
            let layout = layout::layout(batch.grid());
            let side = |squares: u16| f64::from(squares) * zoom.scale;
            let (width, height) = (side(layout.columns()), side(layout.rows()));
            let [left, top, width, height] = [zoom.left, zoom.top, width, height].map(|length| decimal(length, 4));
            format!("left:{left}px;top:{top}px;width:{width}px;height:{height}px")
        }
        None => String::new(),
    });
    let source = batch.picture().unwrap_or_default();
    view! {
        <When condition=is_shown>
            <div class="whole-picture">
                <img src=source.clone() style=place alt="The picture that the tasks drew" />
            </div>
        </When>
    }
}

fn on_key(batch: Batch, event: &KeyboardEvent) {
    if event.alt_key() || event.meta_key() {
        // These are the browser's shortcuts, such as going back.
        return;
    }
    let here = batch.view.focused.get_untracked().unwrap_or(Square { row: 0, column: 0 });
    match event.key().as_str() {
        "Enter" | " " => batch.choose(here),
        key => {
            let grid = batch.grid();
            let there = layout::place_of(grid, here)
                .and_then(|place| keys::step(layout::layout(grid), place, key, event.ctrl_key()));
            match there.and_then(|place| layout::square_at(grid, place)) {
                Some(there) => batch.focus(there),
                None => return,
            }
        }
    }
    event.prevent_default();
}

/// Handles focus on a cell, from the Tab key or a click.
fn on_focus(batch: Batch, cell: Option<Square>) {
    let view = batch.view;
    let focused = view.focused.get_untracked();
    // On a canvas, a single cell represents all squares.
    let is_canvas = batch.is_on_canvas();
    let square = cell.filter(|_| !is_canvas).or(focused).unwrap_or(Square { row: 0, column: 0 });
    if focused == Some(square) {
        view.pointed_at.set(Some(square));
    } else {
        batch.focus(square);
    }
}

/// The value of `data-size`, which selects gaps and effects in the style sheet. Small grids get more of them.
fn size_class(grid: Grid) -> &'static str {
    match grid.rows().max(grid.columns()) {
        0..=16 => "large",
        17..=40 => "medium",
        _ => "small",
    }
}
