//! The quilt itself: a grid of elements, which come with the page, or a canvas.

use leptos::ev;
use leptos::html::Div;
use leptos::prelude::*;
use quilt::Grid;

use crate::page::Page;

/// What is within it is painted square by square as they come.
#[component]
pub(crate) fn QuiltStage(
    /// The page of the batch.
    page: Page,
    /// The shape of the quilt.
    grid: Grid,
    /// The squares as they are when the page is rendered.
    children: Children,
) -> impl IntoView {
    let element = NodeRef::<Div>::new();
    // Effects run in the browser alone.
    Effect::new(move |_| {
        if let Some(element) = element.get() {
            page.start(&element);
        }
    });
    view! {
        <div class="frame">
            <div
                class="quilt"
                role="grid"
                aria-label="Quilt"
                aria-readonly="true"
                aria-rowcount=grid.rows().to_string()
                aria-colcount=grid.columns().to_string()
                data-size=size_class(grid)
                style=format!("--rows:{};--columns:{}", grid.rows(), grid.columns())
                node_ref=element
                on:keydown=move |event| page.on_quilt_key(&event)
                on:focusin=move |event| page.on_quilt_focus(&event)
                on:click=move |event| page.on_quilt_click(&event)
                on:mousemove=move |event| page.on_quilt_hover(&event)
                on:mouseleave=move |_: ev::MouseEvent| page.on_quilt_leave()
                on:pointerdown=move |event| page.on_quilt_pointer(&event)
                on:pointermove=move |event| page.on_quilt_pointer(&event)
                on:pointerup=move |event| page.on_quilt_pointer(&event)
                on:pointercancel=move |event| page.on_quilt_pointer(&event)
                on:wheel=move |event| page.on_quilt_wheel(&event)
            >
                {children()}
            </div>
        </div>
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
