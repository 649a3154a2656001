//! What stands in the place of braces.

use std::borrow::Cow;

/// What one task is about.
pub(super) struct Item<'a> {
    /// The item itself, where there are any.
    pub(super) text: Option<&'a str>,
    pub(super) index: u32,
    pub(super) row: u16,
    pub(super) column: u16,
}

/// Placeholders that stand for the item, or a part of it.
const OF_ITEM: [&str; 5] = ["{}", "{.}", "{/}", "{//}", "{/.}"];

/// Whether arguments say where an item goes.
pub(super) fn mentions_item(args: &[String]) -> bool {
    args.iter().any(|arg| OF_ITEM.iter().any(|placeholder| arg.contains(placeholder)))
}

/// The arguments for an item. Where none of them says where the item goes, it comes last.
pub(super) fn fill_in(args: &[String], item: &Item<'_>) -> Vec<String> {
    let mut filled: Vec<String> = args.iter().map(|arg| fill_in_one(arg, item)).collect();
    if let Some(text) = item.text.filter(|_| !mentions_item(args)) {
        filled.push(text.into());
    }
    filled
}

/// What comes from the item is not looked at again: whatever is in it stays as it is.
fn fill_in_one(arg: &str, item: &Item<'_>) -> String {
    let mut filled = String::with_capacity(arg.len());
    let mut rest = arg;
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        filled.push_str(before);
        match from.find('}').and_then(|end| Some((from.get(..=end)?, from.get(end + 1..)?))) {
            Some((placeholder, after)) if let Some(value) = value(placeholder, item) => {
                filled.push_str(&value);
                rest = after;
            }
            _ => {
                filled.push('{');
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    filled.push_str(rest);
    filled
}

fn value<'a>(placeholder: &str, item: &Item<'a>) -> Option<Cow<'a, str>> {
    let text = item.text.unwrap_or_default();
    Some(match placeholder {
        "{}" => text.into(),
        "{.}" => without_extension(text).into(),
        "{/}" => file_name(text).into(),
        "{//}" => folder(text).into(),
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

fn folder(text: &str) -> &str {
    match text.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((folder, _)) => folder,
        None => ".",
    }
}

fn without_extension(text: &str) -> &str {
    let name = file_name(text);
    match name.rfind('.') {
        // A dot at the beginning hides a file.
        Some(dot) if dot > 0 => text.get(..text.len() - name.len() + dot).unwrap_or(text),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(args: &[&str], text: Option<&str>) -> Vec<String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        fill_in(&args, &Item { text, index: 4, row: 1, column: 2 })
    }

    #[test]
    fn placeholders_are_the_parts_of_an_item() {
        let args = ["{}", "{.}", "{/}", "{//}", "{/.}", "{index}", "{#}", "{row},{column}"];
        let expected = ["a/b.c.wav", "a/b.c", "b.c.wav", "a", "b.c", "4", "5", "1,2"];
        assert_eq!(filled(&args, Some("a/b.c.wav")), expected);
        assert_eq!(filled(&["{.}", "{//}"], Some(".hidden")), [".hidden", "."]);
        assert_eq!(filled(&["{//}"], Some("/x")), ["/"]);
    }

    #[test]
    fn an_item_comes_last_where_nothing_says_where_it_goes() {
        assert_eq!(filled(&["-l"], Some("x y")), ["-l", "x y"]);
        assert_eq!(filled(&["-l", "{index}"], None), ["-l", "4"]);
    }

    #[test]
    fn what_is_in_an_item_stays_as_it_is() {
        assert_eq!(filled(&["{} {index}"], Some("{index} $(rm) ;")), ["{index} $(rm) ; 4"]);
        assert_eq!(filled(&["{unknown} { {", "{{}}"], Some("x")), ["{unknown} { {", "{x}"]);
    }
}
