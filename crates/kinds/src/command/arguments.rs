//! Expands the placeholders in the arguments of a command.

use std::borrow::Cow;

/// The values of the placeholders for one task.
pub(super) struct TaskItem<'a> {
    /// `None` if the batch has no items.
    pub(super) text: Option<&'a str>,
    pub(super) index: u32,
    pub(super) row: u16,
    pub(super) column: u16,
}

/// Placeholders for the item or a part of it.
const ITEM_PLACEHOLDERS: [&str; 5] = ["{}", "{.}", "{/}", "{//}", "{/.}"];

pub(super) fn has_item_placeholder(args: &[String]) -> bool {
    args.iter().any(|arg| ITEM_PLACEHOLDERS.iter().any(|placeholder| arg.contains(placeholder)))
}

/// Expands all arguments. Appends the item if no argument contains an item placeholder.
pub(super) fn expand(args: &[String], item: &TaskItem<'_>) -> Vec<String> {
    let mut expanded: Vec<String> = args.iter().map(|arg| expand_argument(arg, item)).collect();
    if let Some(text) = item.text.filter(|_| !has_item_placeholder(args)) {
        expanded.push(text.into());
    }
    expanded
}

/// Expands an argument in one pass: placeholders within an item are not expanded.
fn expand_argument(arg: &str, item: &TaskItem<'_>) -> String {
    let mut expanded = String::with_capacity(arg.len());
    let mut rest = arg;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        expanded.push_str(before);
        match from.find('}').and_then(|end| Some((from.get(..=end)?, from.get(end + 1..)?))) {
            Some((placeholder, after)) if let Some(value) = placeholder_value(placeholder, item) => {
                expanded.push_str(&value);
                rest = after;
            }
            _ => {
                expanded.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    expanded.push_str(rest);
    expanded
}

fn placeholder_value<'a>(placeholder: &str, item: &TaskItem<'a>) -> Option<Cow<'a, str>> {
    let text = item.text.unwrap_or_default();
    Some(match placeholder {
        "{}" => text.into(),
        "{.}" => without_extension(text).into(),
        "{/}" => file_name(text).into(),
        "{//}" => parent(text).into(),
        "{/.}" => without_extension(file_name(text)).into(),
        "{index}" => item.index.to_string().into(),
        "{#}" => (u64::from(item.index) + 1).to_string().into(),
        "{row}" => item.row.to_string().into(),
        "{column}" => item.column.to_string().into(),
        _ => return None,
    })
}

fn file_name(text: &str) -> &str {
    text.rsplit('/').next().unwrap_or(text)
}

fn parent(text: &str) -> &str {
    match text.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((parent, _)) => parent,
        None => ".",
    }
}

fn without_extension(text: &str) -> &str {
    let name = file_name(text);
    match name.rfind('.') {
        // A leading dot marks a hidden file, not an extension.
        Some(dot) if dot > 0 => text.get(..text.len() - name.len() + dot).unwrap_or(text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(args: &[&str], text: Option<&str>) -> Vec<String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        expand(&args, &TaskItem { text, index: 4, row: 1, column: 2 })
    }

    #[test]
    fn placeholders_expand_to_parts_of_the_item() {
        let args = ["{}", "{.}", "{/}", "{//}", "{/.}", "{index}", "{#}", "{row},{column}"];
        let expected = ["a/b.c.wav", "a/b.c", "b.c.wav", "a", "b.c", "4", "5", "1,2"];
        assert_eq!(expanded(&args, Some("a/b.c.wav")), expected);
        assert_eq!(expanded(&["{.}", "{//}"], Some(".hidden")), [".hidden", "."]);
        assert_eq!(expanded(&["{//}"], Some("/x")), ["/"]);
    }

    #[test]
    fn item_is_appended_without_an_item_placeholder() {
        assert_eq!(expanded(&["-l"], Some("x y")), ["-l", "x y"]);
        assert_eq!(expanded(&["-l", "{index}"], None), ["-l", "4"]);
    }

    #[test]
    fn items_and_unknown_placeholders_are_not_expanded() {
        assert_eq!(expanded(&["{} {index}"], Some("{index} $(rm) ;")), ["{index} $(rm) ; 4"]);
        assert_eq!(expanded(&["{unknown} { {", "{{}}"], Some("x")), ["{unknown} { {", "{x}"]);
    }
}
