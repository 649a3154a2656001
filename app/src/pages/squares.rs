//! The squares of a quilt as static HTML. Rendering thousands of views would take the server as long as the rest of the page.

use std::fmt::Write;

use quilt::{BatchId, Grid, Index, SquareState};
use viewer::address::View;
use viewer::layout::layout;
use viewer::{Look, TaskState, words};

/// The rows of the grid with a cell for each square. Only the first cell is a tab stop; arrow keys reach the others.
pub(crate) fn rows_html<'quilt>(grid: Grid, state: impl Fn(Index) -> SquareState<'quilt>) -> String {
    // A cell takes about 110 bytes.
    let mut html = String::with_capacity(grid.squares() as usize * 112);
    for row in 0..grid.rows() {
        html.push_str(r#"<div role="row">"#);
        for column in 0..=grid.last_column(row) {
            let index = Index(u32::from(row) * u32::from(grid.columns()) + u32::from(column));
            push_cell(&mut html, grid, index, state(index), "");
        }
        html.push_str("</div>");
    }
    html
}

/// The canvas of a quilt with too many squares for elements. A picture is displayed until the canvas is painted, unless the URL requests a
/// view other than the default one.
pub(crate) fn canvas_html(id: BatchId, grid: Grid, first: SquareState<'_>, view: View) -> String {
    let layout = layout(grid);
    // The picture has the shape of the grid.
    let is_whole = layout == grid && view.look == Look::default() && view.place.is_none();
    let picture = format!(
        r#"<img class="picture" src="/batches/{id}/quilt.png?side=256&amp;pending=transparent" alt="" role="presentation" decoding="async">"#
    );
    let picture = if is_whole { picture } else { format!("<noscript>{picture}</noscript>") };
    let (rows, columns) = (layout.rows(), layout.columns());
    let mut html = format!(
        concat!(
            "{picture}",
            r#"<canvas class="bitmap" width="{columns}" height="{rows}" role="presentation"></canvas>"#,
            r#"<div class="threads" role="presentation"></div><canvas class="marks" role="presentation"></canvas>"#,
            r#"<div role="row" aria-rowindex="1">"#
        ),
        picture = picture,
        columns = columns,
        rows = rows,
    );
    push_cell(&mut html, grid, Index(0), first, r#" class="cursor" aria-colindex="1""#);
    html.push_str("</div>");
    html
}

/// Appends a cell. `attributes` is HTML with a space before each attribute.
fn push_cell(html: &mut String, grid: Grid, index: Index, state: SquareState<'_>, attributes: &str) {
    let tabindex = if index.0 == 0 { 0 } else { -1 };
    let name = TaskState::of(state, None).as_str();
    let label = words::label(grid, index, state, None);
    let label = html_escape::encode_double_quoted_attribute(&label);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        r#"<div role="gridcell" tabindex="{tabindex}" data-state="{name}" aria-label="{label}"{attributes}"#
    );
    if let SquareState::Done(color) = state {
        let _ = write!(html, r#" style="background-color:{color}""#);
    }
    html.push_str("></div>");
}

#[cfg(test)]
mod tests {
    use quilt::Color;

    use super::*;

    #[test]
    fn every_square_is_a_labeled_cell() {
        let grid = Grid::new(2, 2).expect("small");
        let html = rows_html(grid, |index| match index.0 {
            0 => SquareState::Done(Color::from_rgb(0xAB)),
            1 => SquareState::Failed(r#"<"no">"#),
            _ => SquareState::Pending,
        });
        assert_eq!(html.matches(r#"role="row""#).count(), 2);
        assert_eq!(html.matches(r#"role="gridcell""#).count(), 4);
        assert_eq!(html.matches(r#"tabindex="0""#).count(), 1);
        assert!(html.contains(r#"aria-label="Row 0, column 0: done, #0000AB" style="background-color:#0000AB""#));
        assert!(html.contains("Row 1, column 1: pending"));
        assert!(html.contains("failed, &lt;&quot;no&quot;&gt;") || html.contains("failed, <&quot;no&quot;>"), "{html}");
    }
}
