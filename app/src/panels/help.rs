//! The keys, in a dialog.

/// Opened with `?`.
pub(crate) const HELP: &str = r#"<dialog id="help" class="help" aria-labelledby="help-title">
<form method="dialog"><h2 id="help-title">Keys</h2>
<dl>
<dt><kbd>↑</kbd> <kbd>↓</kbd> <kbd>←</kbd> <kbd>→</kbd></dt><dd>to the next square</dd>
<dt><kbd>Home</kbd> <kbd>End</kbd></dt><dd>to the ends of a row; with <kbd>Ctrl</kbd>, of the quilt</dd>
<dt><kbd>Page ↑</kbd> <kbd>Page ↓</kbd></dt><dd>to the ends of a column</dd>
<dt><kbd>Enter</kbd></dt><dd>tell more of a square</dd>
<dt><kbd>f</kbd></dt><dd>to the next failure</dd>
<dt><kbd>/</kbd></dt><dd>to a square by its row and column</dd>
<dt><kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd></dt><dd>larger, smaller, the whole of a large quilt</dd>
<dt><kbd>Esc</kbd></dt><dd>back: close the square, end the replay, show all squares</dd>
</dl>
<p><label><input type="checkbox" id="single-keys" checked> <kbd>f</kbd> <kbd>/</kbd> <kbd>?</kbd> <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> work wherever the focus is</label></p>
<button class="button">Close</button></form></dialog>"#;
