//! The squares of a quilt as elements: rendered in one go on the server, changed one by one in the browser.

#[cfg(any(feature = "ssr", test))]
use std::fmt::Write;

use quilt::{Grid, Index, SquareState};

/// The most squares that are drawn as elements.
pub(crate) const MAX_ELEMENTS: u32 = 4_096;

/// The word in `data-state`.
pub(crate) fn state_name(state: SquareState<'_>) -> &'static str {
    match state {
        SquareState::Pending => "pending",
        SquareState::Done(_) => "done",
        SquareState::Failed(_) => "failed",
    }
}

/// What a screen reader says, and what is shown for the square one points at.
pub(crate) fn label(grid: Grid, index: Index, state: SquareState<'_>) -> String {
    let square = grid.square(index);
    let place = format!("Row {}, column {}", square.row, square.column);
    match state {
        SquareState::Pending => format!("{place}: pending"),
        SquareState::Done(color) => format!("{place}: done, {color}"),
        SquareState::Failed(reason) => format!("{place}: failed, {reason}"),
    }
}

/// The rows of the grid with a cell for each square. The first cell can be reached with the tab key, and from there
/// the others with the arrow keys.
#[cfg(any(feature = "ssr", test))]
pub(crate) fn rows_html<'quilt>(grid: Grid, state: impl Fn(Index) -> SquareState<'quilt>) -> String {
    // A cell takes about 110 bytes.
    let mut html = String::with_capacity(grid.squares() as usize * 112);
    for row in 0..grid.rows() {
        html.push_str(r#"<div role="row">"#);
        for column in 0..grid.columns() {
            let index = Index(u32::from(row) * u32::from(grid.columns()) + u32::from(column));
            push_cell(&mut html, grid, index, state(index));
        }
        html.push_str("</div>");
    }
    html
}

#[cfg(any(feature = "ssr", test))]
fn push_cell(html: &mut String, grid: Grid, index: Index, state: SquareState<'_>) {
    let tabindex = if index.0 == 0 { 0 } else { -1 };
    let name = state_name(state);
    let label = label(grid, index, state);
    let label = html_escape::encode_double_quoted_attribute(&label);
    // Writing to a string cannot fail.
    let _ = write!(html, r#"<div role="gridcell" tabindex="{tabindex}" data-state="{name}" aria-label="{label}""#);
    if let SquareState::Done(color) = state {
        let _ = write!(html, r#" style="--color:{color}""#);
    }
    html.push_str("></div>");
}

#[cfg(test)]
mod tests {
    use quilt::Color;

    use super::*;

    #[test]
    fn every_square_is_a_labelled_cell() {
        let grid = Grid::new(2, 2).expect("small");
        let html = rows_html(grid, |index| match index.0 {
            0 => SquareState::Done(Color::from_rgb(0xAB)),
            1 => SquareState::Failed(r#"<"no">"#),
            _ => SquareState::Pending,
        });
        assert_eq!(html.matches(r#"role="row""#).count(), 2);
        assert_eq!(html.matches(r#"role="gridcell""#).count(), 4);
        assert_eq!(html.matches(r#"tabindex="0""#).count(), 1);
        assert!(html.contains(r#"aria-label="Row 0, column 0: done, #0000AB" style="--color:#0000AB""#));
        assert!(html.contains("Row 1, column 1: pending"));
        assert!(html.contains("failed, &lt;&quot;no&quot;&gt;") || html.contains("failed, <&quot;no&quot;>"), "{html}");
    }
}
