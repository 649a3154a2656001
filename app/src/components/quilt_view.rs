//! The quilt itself.

use leptos::ev::{FocusEvent, KeyboardEvent, MouseEvent, PointerEvent, WheelEvent};
use leptos::html::Div;
use leptos::prelude::*;
use quilt::{Grid, Square};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsCast;
use web_sys::{Element, EventTarget, HtmlElement};

use crate::components::page::Page;
use crate::components::panel::Panel;
use crate::components::pointers::Pointers;
use crate::html::escaped;
use crate::painter::{Painter, Scene};
use crate::squares::{MAX_ELEMENTS, label};

/// How much a turn of the wheel by one pixel enlarges.
const WHEEL: f64 = 1.002;

/// A grid of squares: of elements, which come with the page, or on a canvas. It is painted square by square as they come.
#[component]
pub(crate) fn QuiltView(
    /// The page of the batch.
    page: Page,
    /// The rows as they are when the page is rendered.
    children: Children,
) -> impl IntoView {
    let Page { grid, channel, look, focused, chosen, zoom, .. } = page;
    let is_canvas = grid.squares() > MAX_ELEMENTS;
    let element = NodeRef::<Div>::new();
    // Elements stay on the browser's one thread; on the server there are none.
    let painter = StoredValue::new(None::<SendWrapper<Painter>>);
    let pointers = StoredValue::new(Pointers::default());
    let pointed_at = RwSignal::new(None::<Square>);
    let last_across = Memo::new(move |_| channel.summary.with(|summary| summary.last_across));

    let with_painter = move |change: &dyn Fn(&mut Painter, Scene<'_>)| {
        painter.try_update_value(|painter| {
            let Some(painter) = painter else { return };
            channel.with_shown(|quilt, race| change(painter, Scene { quilt, race, look: look.get_untracked() }));
            zoom.set(painter.zoom());
        });
    };
    let paint = move || {
        let is_done = painter.try_update_value(|painter| {
            let Some(painter) = painter else { return true };
            let dirty = channel.take_dirty();
            let look = look.get_untracked();
            channel.with_shown(|quilt, race| painter.paint(Scene { quilt, race, look }, dirty)).unwrap_or(true)
        });
        is_done.unwrap_or(true)
    };
    // However many frames arrive, the squares are painted once before the browser draws, and no longer than there is time.
    let is_waiting = StoredValue::new(false);
    let paint_soon = move || {
        if !is_waiting.get_value() {
            is_waiting.set_value(true);
            paint_in_next_frame(is_waiting, paint);
        }
    };
    Effect::new(move |_| {
        if let Some(element) = element.get() {
            let made =
                if is_canvas { Painter::on_canvas(grid, &element) } else { Some(Painter::of_elements(grid, &element)) };
            painter.set_value(made.map(SendWrapper::new));
            paint_soon();
        }
    });
    Effect::new(move |_| {
        channel.track_painting();
        paint_soon();
    });
    Effect::new(move |before: Option<_>| {
        let now = look.get();
        if before.is_some_and(|before| before != now) {
            channel.repaint();
        }
        now
    });
    Effect::new(move |_| {
        channel.has_squares.track();
        let index = last_across.get().and_then(|square| grid.index(square));
        with_painter(&|painter, scene| painter.mark_last_across(scene, index));
    });
    // Whoever sets `focused` moves the focus; so do the arrow keys.
    Effect::new(move |_| {
        if let Some(index) = focused.get().and_then(|square| grid.index(square)) {
            with_painter(&|painter, scene| painter.move_to(scene, index, true));
        }
    });
    // The zoom is set by buttons and by the painter itself, which then has it already.
    Effect::new(move |_| {
        let Some(zoom) = zoom.get() else { return };
        painter.try_update_value(|painter| {
            let Some(painter) = painter.as_deref_mut().filter(|painter| painter.zoom() != Some(zoom)) else { return };
            channel.with_shown(|quilt, race| painter.set_zoom(Scene { quilt, race, look: look.get_untracked() }, zoom));
        });
    });
    let resize = window_event_listener(leptos::ev::resize, move |_| {
        with_painter(&|painter, scene| {
            if let Some(zoom) = painter.zoom() {
                painter.set_zoom(scene, zoom);
            }
        });
    });
    on_cleanup(move || resize.remove());

    let square_under = move |event: &MouseEvent| {
        if is_canvas {
            zoom.get_untracked()?.square_at(event.offset_x().into(), event.offset_y().into())
        } else {
            square_of(event.target())
        }
    };
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
            pointed_at.set(Some(there));
        }
    };
    let on_focus = move |event: FocusEvent| {
        let square = if is_canvas {
            Some(focused.get_untracked().unwrap_or(Square { row: 0, column: 0 }))
        } else {
            square_of(event.target())
        };
        if let Some(square) = square {
            if focused.get_untracked() != Some(square) {
                focused.set(Some(square));
            }
            pointed_at.set(Some(square));
        }
    };
    let on_click = move |event: MouseEvent| {
        let has_dragged = pointers.try_update_value(Pointers::take_dragged).unwrap_or_default();
        if let Some(square) = square_under(&event).filter(|_| !has_dragged) {
            chosen.set(Some(square));
            focused.set(Some(square));
        }
    };
    let on_pointer = move |event: PointerEvent| {
        let Some(now) = zoom.get_untracked() else { return };
        let moved = pointers.try_update_value(|pointers| pointers.moved(&event, now)).flatten();
        if let Some(moved) = moved {
            zoom.set(Some(moved));
        }
    };
    let on_wheel = move |event: WheelEvent| {
        let Some(now) = zoom.get_untracked() else { return };
        let factor = WHEEL.powf(-event.delta_y());
        // Where the whole quilt is in sight, the wheel moves the page on.
        if factor < 1.0 && now.is_whole() {
            return;
        }
        event.prevent_default();
        zoom.set(Some(now.scaled(factor, event.offset_x().into(), event.offset_y().into())));
    };
    let readout = Signal::derive(move || {
        channel.track_painting();
        let label = pointed_at.get().and_then(|square| {
            let index = grid.index(square)?;
            channel.with_shown(|quilt, race| {
                let position = quilt.order().position(index);
                label(grid, index, quilt.at(position), race.last_try(position))
            })
        });
        label.map_or_else(|| HINT.into(), |label| escaped(&label).into_owned())
    });

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
                data-zoom=move || zoom.get().map(|zoom| format!("{:.2}", zoom.scale))
                style=format!("--rows:{};--columns:{}", grid.rows(), grid.columns())
                node_ref=element
                on:keydown=on_key
                on:focusin=on_focus
                on:click=on_click
                on:mousemove=move |event: MouseEvent| {
                    let square = square_under(&event);
                    if pointed_at.get_untracked() != square {
                        pointed_at.set(square);
                    }
                }
                on:mouseleave=move |_| pointed_at.set(None)
                on:pointerdown=on_pointer
                on:pointermove=on_pointer
                on:pointerup=on_pointer
                on:pointercancel=on_pointer
                on:wheel=on_wheel
            >
                {children()}
            </div>
        </div>
        <p class="readout" aria-hidden="true"><Panel html=readout /></p>
    }
}

const HINT: &str =
    "Point at a square, or go to the quilt and use the arrow keys. Choose one to see its attempts. Press ? for help.";

/// Paints before the browser draws, and goes on in the frame after it where there was no time for everything.
fn paint_in_next_frame(is_waiting: StoredValue<bool>, paint: impl Fn() -> bool + Copy + 'static) {
    request_animation_frame(move || {
        // Gone with its page.
        if is_waiting.try_get_value().is_none() {
            return;
        }
        if paint() {
            is_waiting.set_value(false);
        } else {
            paint_in_next_frame(is_waiting, paint);
        }
    });
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
