//! Bundles style sheets by resolving `@import`, like the option `style-bundle` of cargo-leptos.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Reads a style sheet, and replaces its imports by the imported files. A file must not be imported twice.
pub(crate) fn bundle(file: &Path) -> Result<String> {
    let mut css = String::new();
    add(file, &mut Vec::new(), &mut Vec::new(), &mut css)?;
    Ok(css)
}

fn add(file: &Path, importing: &mut Vec<PathBuf>, added: &mut Vec<PathBuf>, css: &mut String) -> Result<()> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let path = file.canonicalize().with_context(|| format!("cannot find {}", file.display()))?;
    if importing.contains(&path) {
        bail!("{} imports itself", file.display());
    }
    if added.contains(&path) {
        bail!("{} is imported a second time", file.display());
    }
    importing.push(path.clone());
    let (imports, rest) = split_imports(&text).with_context(|| format!("in {}", file.display()))?;
    for import in imports {
        let folder = file.parent().unwrap_or(Path::new(""));
        add(&folder.join(import), importing, added, css).with_context(|| format!("imported by {}", file.display()))?;
    }
    css.push_str(rest.trim_start());
    if !css.ends_with('\n') {
        css.push('\n');
    }
    importing.pop();
    added.push(path);
    Ok(())
}

/// Returns the imported files of a style sheet, and the text after the imports.
fn split_imports(text: &str) -> Result<(Vec<&str>, &str)> {
    let mut imports = Vec::new();
    let mut rest = text;
    loop {
        let statement = skip_comments(rest)?;
        let Some(import) = statement.strip_prefix("@import") else { break };
        let (import, after) = import.split_once(';').context("an @import has no end")?;
        imports.push(file_of(import.trim()).with_context(|| format!("in `@import{import};`"))?);
        rest = after;
    }
    if without_comments(rest)?.contains("@import") {
        bail!("an @import stands behind other rules, where browsers ignore it");
    }
    Ok((imports, rest))
}

/// Returns the file in `url("x.css")`, `url(x.css)` or `"x.css"`.
fn file_of(import: &str) -> Result<&str> {
    let inner = import.strip_prefix("url(").and_then(|import| import.strip_suffix(')')).unwrap_or(import).trim();
    let unquoted = ['"', '\''].iter().find_map(|quote| inner.strip_prefix(*quote)?.strip_suffix(*quote));
    let file = unquoted
        .or_else(|| (inner != import).then_some(inner))
        .context("only a file can be imported, without conditions")?;
    if file.is_empty() || file.contains(['"', '\'', '(', ')', ':']) || file.starts_with('/') {
        bail!("only a file can be imported, by its path from here and without conditions");
    }
    Ok(file)
}

/// Skips leading white space and comments.
fn skip_comments(text: &str) -> Result<&str> {
    let mut text = text.trim_start();
    while let Some(comment) = text.strip_prefix("/*") {
        let (_, after) = comment.split_once("*/").context("a comment has no end")?;
        text = after.trim_start();
    }
    Ok(text)
}

fn without_comments(text: &str) -> Result<String> {
    let mut left = String::new();
    let mut rest = text;
    while let Some((before, comment)) = rest.split_once("/*") {
        left.push_str(before);
        (_, rest) = comment.split_once("*/").context("a comment has no end")?;
    }
    left.push_str(rest);
    Ok(left)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn bundled(files: &[(&str, &str)]) -> Result<String> {
        let folder = TempDir::new().expect("a folder");
        for (path, content) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, content).expect("a file");
        }
        bundle(&folder.path().join("main.css"))
    }

    fn refusal(files: &[(&str, &str)]) -> String {
        format!("{:#}", bundled(files).expect_err("it is refused"))
    }

    #[test]
    fn imports_are_replaced_in_their_order() {
        let css = bundled(&[
            ("main.css", "/* All. */\n@import url(\"a.css\");\n@import 'parts/b.css';\n@import url(c.css);\n\nmain {}"),
            ("a.css", "a {}\n"),
            ("parts/b.css", "@import \"d.css\";\nb {}"),
            ("parts/d.css", "d {}\n"),
            ("c.css", "/* @import \"x.css\"; */ c {}\n"),
        ]);
        assert_eq!(css.expect("a style"), "a {}\nd {}\nb {}\n/* @import \"x.css\"; */ c {}\nmain {}\n");
    }

    #[test]
    fn a_style_without_imports_stays_as_it_is() {
        assert_eq!(bundled(&[("main.css", "/* Kept. */\nmain {}\n")]).expect("a style"), "/* Kept. */\nmain {}\n");
    }

    #[test]
    fn what_cannot_be_imported_is_refused() {
        assert!(refusal(&[("main.css", "@import \"gone.css\";")]).contains("gone.css"));
        assert!(refusal(&[("main.css", "@import url(https://example.org/a.css);")]).contains("only a file"));
        assert!(refusal(&[("main.css", "@import \"a.css\" print;"), ("a.css", "")]).contains("only a file"));
        assert!(refusal(&[("main.css", "@import a.css;"), ("a.css", "")]).contains("only a file"));
        assert!(refusal(&[("main.css", "a {}\n@import \"a.css\";"), ("a.css", "")]).contains("behind other rules"));
        assert!(refusal(&[("main.css", "@import \"a.css\"")]).contains("no end"));
    }

    #[test]
    fn circles_and_repetitions_are_refused() {
        let circle = [("main.css", "@import \"a.css\";"), ("a.css", "@import \"main.css\";")];
        assert!(refusal(&circle).contains("imports itself"));
        let twice = [("main.css", "@import \"a.css\";\n@import \"./a.css\";"), ("a.css", "a {}")];
        assert!(refusal(&twice).contains("a second time"));
    }
}
