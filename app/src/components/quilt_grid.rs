//! The quilt itself.

use leptos::ev::{FocusEvent, KeyboardEvent, MouseEvent};
use leptos::html::Div;
use leptos::prelude::*;
use quilt::{Grid, Square};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement};

use crate::channel::Channel;
use crate::painter::Painter;

/// A grid of elements, one for each square. It is rendered with the page, and painted square by square from then on.
#[component]
pub(crate) fn QuiltGrid(
    /// The shape.
    grid: Grid,
    /// The channel of the batch on the page.
    channel: Channel,
    /// The square that has the focus, or should have it.
    focused: RwSignal<Option<Square>>,
    /// The square of which more is to be told.
    chosen: RwSignal<Option<Square>>,
    /// The rows as they are when the page is rendered.
    children: Children,
) -> impl IntoView {
    let element = NodeRef::<Div>::new();
    // Elements stay on the browser's one thread; on the server there are none.
    let painter = StoredValue::new(None::<SendWrapper<Painter>>);
    let pointed_at = RwSignal::new(None::<String>);
    let last_across = Memo::new(move |_| channel.summary.with(|summary| summary.last_across));

    Effect::new(move |_| {
        if let Some(element) = element.get() {
            painter.set_value(Some(SendWrapper::new(Painter::new(grid, &element))));
        }
    });
    let paint = move || {
        painter.try_with_value(|painter| {
            if let Some(painter) = painter {
                channel.take_dirty(|quilt, dirty| painter.paint(quilt, dirty));
            }
        });
    };
    // However many frames arrive, the squares are painted once before the browser draws.
    let is_waiting = StoredValue::new(false);
    Effect::new(move |_| {
        channel.track_painting();
        element.track();
        if !is_waiting.get_value() {
            is_waiting.set_value(true);
            request_animation_frame(move || {
                if is_waiting.try_set_value(false).is_none() {
                    paint();
                }
            });
        }
    });
    let index_of = move |square: Option<Square>| square.and_then(|square| grid.index(square));
    let with_painter = move |change: &dyn Fn(&mut Painter)| {
        element.track();
        painter.update_value(|painter| painter.iter_mut().for_each(|painter| change(painter)));
    };
    Effect::new(move |_| {
        let index = index_of(last_across.get());
        with_painter(&|painter| painter.mark_last_across(index));
    });
    // Whoever sets `focused` moves the focus; so do the arrow keys.
    Effect::new(move |_| {
        if let Some(index) = index_of(focused.get()) {
            with_painter(&|painter| painter.focus(index));
        }
    });

    let on_key = move |event: KeyboardEvent| {
        if event.alt_key() || event.meta_key() {
            // The browser's own, such as going back.
            return;
        }
        let here = focused.get_untracked().unwrap_or(Square { row: 0, column: 0 });
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            chosen.set(Some(here));
            return;
        }
        if let Some(there) = step(grid, here, &event.key(), event.ctrl_key()) {
            event.prevent_default();
            focused.set(Some(there));
        }
    };
    let on_focus = move |event: FocusEvent| {
        if let Some(square) = square_of(event.target()) {
            if focused.get_untracked() != Some(square) {
                focused.set(Some(square));
            }
            pointed_at.set(label_of(event.target()));
        }
    };
    let on_point = move |event: MouseEvent| pointed_at.set(label_of(event.target()));

    view! {
        <div class="frame">
            <div
                class="quilt"
                role="grid"
                aria-label="Quilt"
                aria-readonly="true"
                aria-rowcount=grid.rows()
                aria-colcount=grid.columns()
                data-size=size_class(grid)
                style=format!("--rows:{};--columns:{}", grid.rows(), grid.columns())
                node_ref=element
                on:keydown=on_key
                on:focusin=on_focus
                on:click=move |event: MouseEvent| {
                    if let Some(square) = square_of(event.target()) {
                        chosen.set(Some(square));
                    }
                }
                on:mouseover=on_point
                on:mouseleave=move |_| pointed_at.set(None)
            >
                {children()}
            </div>
        </div>
        <p class="readout" aria-hidden="true">
            {move || pointed_at.get().unwrap_or_else(|| "Point at a square, or go to the quilt and use the arrow keys. Choose one to see its attempts.".into())}
        </p>
    }
}

/// Decides on gaps and effects: few squares can afford more of them.
fn size_class(grid: Grid) -> &'static str {
    match grid.rows().max(grid.columns()) {
        0..=16 => "large",
        17..=40 => "medium",
        _ => "small",
    }
}

/// Where a key leads from a square.
fn step(grid: Grid, here: Square, key: &str, with_control: bool) -> Option<Square> {
    let (last_row, last_column) = (grid.rows() - 1, grid.columns() - 1);
    let Square { row, column } = here;
    let there = match key {
        "ArrowUp" => Square { row: row.saturating_sub(1), column },
        "ArrowDown" => Square { row: (row + 1).min(last_row), column },
        "ArrowLeft" => Square { row, column: column.saturating_sub(1) },
        "ArrowRight" => Square { row, column: (column + 1).min(last_column) },
        "Home" if with_control => Square { row: 0, column: 0 },
        "End" if with_control => Square { row: last_row, column: last_column },
        "Home" => Square { row, column: 0 },
        "End" => Square { row, column: last_column },
        "PageUp" => Square { row: 0, column },
        "PageDown" => Square { row: last_row, column },
        _ => return None,
    };
    Some(there)
}

fn label_of(target: Option<EventTarget>) -> Option<String> {
    cell_of(target)?.get_attribute("aria-label")
}

fn cell_of(target: Option<EventTarget>) -> Option<HtmlElement> {
    target?.dyn_into::<HtmlElement>().ok().filter(|cell| cell.get_attribute("role").as_deref() == Some("gridcell"))
}

/// The place of a cell among its siblings, and of its row among the rows.
fn square_of(target: Option<EventTarget>) -> Option<Square> {
    let cell = cell_of(target)?;
    let row = cell.parent_element()?;
    Some(Square { row: siblings_before(&row), column: siblings_before(&cell) })
}

fn siblings_before(element: &Element) -> u16 {
    let before = std::iter::successors(element.previous_element_sibling(), Element::previous_element_sibling);
    // A row has at most as many cells as a grid has columns.
    before.count() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_to_the_neighbours_and_stop_at_the_edges() {
        let grid = Grid::new(3, 4).expect("small");
        let corner = Square { row: 2, column: 3 };
        let at = |key, control| step(grid, corner, key, control);
        assert_eq!(at("ArrowRight", false), Some(corner));
        assert_eq!(at("ArrowDown", false), Some(corner));
        assert_eq!(at("ArrowLeft", false), Some(Square { row: 2, column: 2 }));
        assert_eq!(at("Home", false), Some(Square { row: 2, column: 0 }));
        assert_eq!(at("Home", true), Some(Square { row: 0, column: 0 }));
        assert_eq!(at("PageUp", false), Some(Square { row: 0, column: 3 }));
        assert_eq!(at("Tab", false), None);
    }
}
