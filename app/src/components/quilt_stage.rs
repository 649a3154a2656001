//! The quilt itself: a grid of elements, which come with the page, or a canvas.

use leptos::prelude::*;
use quilt::Grid;

/// What is within it is painted square by square as they come.
#[component]
pub(crate) fn QuiltStage(
    /// The shape of the quilt.
    grid: Grid,
    /// The squares as they are when the page is rendered.
    children: Children,
) -> impl IntoView {
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
