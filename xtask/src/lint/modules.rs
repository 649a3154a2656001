//! The modules of a crate and their imports.
//!
//! Works on tokens, without types. Resolves re-exports by name, so that a path leads to the module that defines the item. A module that
//! only re-exports an item is not a dependency of the importing module, and re-exports are not imports.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

use super::source;

/// The path of a module from the crate root; empty for the root.
pub(super) type ModulePath = Vec<String>;

/// The maximum length of a chain of re-exports.
const MAX_STEPS: usize = 32;

/// All modules of a crate.
#[derive(Debug, Default)]
pub(super) struct Crate {
    modules: BTreeMap<ModulePath, Module>,
}

/// The content of a module, without its submodules and tests.
#[derive(Debug, Default)]
struct Module {
    file: PathBuf,
    /// The names that it defines.
    items: BTreeSet<String>,
    /// Its `use` declarations.
    imports: Vec<Import>,
    /// The paths in its code.
    paths: Vec<Reference>,
}

#[derive(Debug, Clone)]
struct Import {
    /// The name in this module; `None` for a glob.
    name: Option<String>,
    path: Reference,
    is_exported: bool,
}

/// A path in the code.
#[derive(Debug, Clone)]
struct Reference {
    segments: Vec<String>,
    line: usize,
}

/// A dependency between two modules.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Edge {
    pub(super) from: ModulePath,
    pub(super) to: ModulePath,
    pub(super) file: PathBuf,
    pub(super) line: usize,
    /// The path in the source code.
    pub(super) path: String,
}

impl Crate {
    /// Reads a crate from its root file.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut modules = Self::default();
        let folder = root.parent().unwrap_or(Path::new("")).to_owned();
        modules.read_module(Vec::new(), root, &folder, source::tokens(root)?)?;
        Ok(modules)
    }

    /// Returns each pair of dependent modules once, with the first use.
    pub(super) fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(&ModulePath, ModulePath), Edge> = BTreeMap::new();
        for (from, module) in &self.modules {
            let imports = module.imports.iter().filter(|import| !import.is_exported).map(|import| &import.path);
            for reference in imports.chain(&module.paths) {
                let Some(to) = self.resolve(from, &reference.segments, MAX_STEPS).filter(|to| to != from) else {
                    continue;
                };
                let edge = Edge {
                    from: from.clone(),
                    to: to.clone(),
                    file: module.file.clone(),
                    line: reference.line,
                    path: reference.segments.join("::"),
                };
                let first = edges.entry((from, to)).or_insert_with(|| edge.clone());
                if edge.line < first.line {
                    *first = edge;
                }
            }
        }
        edges.into_values().collect()
    }

    /// Resolves a path in a module to the module that defines its item; `None` for other crates.
    fn resolve(&self, from: &ModulePath, segments: &[String], steps: usize) -> Option<ModulePath> {
        let steps = steps.checked_sub(1)?;
        let mut rest = segments;
        let mut at = match segments {
            [first, ..] if first == "crate" => Vec::new(),
            [first, ..] if ["self", "super"].contains(&first.as_str()) => from.clone(),
            [first, ..] => return self.find(from, first, segments, steps),
            [] => return None,
        };
        while let [first, after @ ..] = rest {
            match first.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()?),
                _ => break,
            }
            rest = after;
        }
        match rest {
            [] => Some(at),
            [first, ..] => self.find(&at, first, rest, steps),
        }
    }

    /// Resolves a path that starts with a name in a module.
    fn find(&self, at: &ModulePath, name: &str, segments: &[String], steps: usize) -> Option<ModulePath> {
        let steps = steps.checked_sub(1)?;
        let module = self.modules.get(at)?;
        let child = [at.as_slice(), &[name.to_owned()]].concat();
        if self.modules.contains_key(&child) {
            return match segments {
                [_, next, ..] => self.find(&child, next, segments.get(1..)?, steps).or(Some(child)),
                _ => Some(child),
            };
        }
        if module.items.contains(name) {
            return Some(at.clone());
        }
        if let Some(import) = module.imports.iter().find(|import| import.name.as_deref() == Some(name)) {
            let path = [import.path.segments.as_slice(), segments.get(1..)?].concat();
            return self.resolve(at, &path, steps);
        }
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        globs.filter_map(|glob| self.resolve(at, &glob.path.segments, steps)).find_map(|target| {
            let is_other = target != *at;
            is_other.then(|| self.find(&target, name, segments, steps)).flatten()
        })
    }

    /// Reads the items of a module. `folder` contains the files of its submodules.
    fn read_module(&mut self, path: ModulePath, file: &Path, folder: &Path, tokens: TokenStream) -> Result<()> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items(tokens) {
            if item.is_test {
                continue;
            }
            match item.keyword.as_str() {
                "mod" => {
                    let name = item.name.context("a module has a name")?;
                    let child = [path.as_slice(), std::slice::from_ref(&name)].concat();
                    match item.body {
                        Some(body) => self.read_module(child, file, &folder.join(&name), body.stream())?,
                        None => self.read_file(child, &name, item.file.as_deref(), file, folder)?,
                    }
                }
                "use" => module.imports.extend(imports(&item.tokens, item.is_public)),
                _ => {
                    module.items.extend(item.name);
                    paths(&item.tokens, &mut module);
                }
            }
        }
        self.modules.insert(path, module);
        Ok(())
    }

    fn read_file(
        &mut self,
        path: ModulePath,
        name: &str,
        named: Option<&str>,
        parent: &Path,
        folder: &Path,
    ) -> Result<()> {
        let beside = parent.parent().unwrap_or(Path::new(""));
        let files = match named {
            Some(named) => vec![beside.join(named)],
            None => vec![folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")],
        };
        let Some(file) = files.iter().find(|file| file.is_file()) else {
            bail!("{} has a module `{name}`, and there is no file for it", parent.display());
        };
        self.read_module(path, file, &folder.join(name), source::tokens(file)?)
    }
}

/// An item of a module.
#[derive(Debug, Default)]
struct Item {
    /// The keyword, such as `fn`; empty if there is none.
    keyword: String,
    name: Option<String>,
    is_public: bool,
    is_test: bool,
    /// The file in the `path` attribute of a module.
    file: Option<String>,
    /// The body of a module.
    body: Option<Group>,
    /// All tokens after the attributes.
    tokens: Vec<TokenTree>,
}

/// The keywords of items that can be imported.
const KEYWORDS: [&str; 11] =
    ["const", "enum", "fn", "macro_rules", "mod", "static", "struct", "trait", "type", "union", "use"];

/// Items that end with a semicolon, even after braces.
const UNTIL_SEMICOLON: [&str; 4] = ["const", "static", "type", "use"];

/// Splits the tokens of a module into its items.
fn items(tokens: TokenStream) -> Vec<Item> {
    let mut items = Vec::new();
    let mut item = Item::default();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match &token {
            TokenTree::Punct(mark) if mark.as_char() == '#' && item.tokens.is_empty() => {
                // Inner attributes have an exclamation mark.
                tokens.next_if(|next| matches!(next, TokenTree::Punct(mark) if mark.as_char() == '!'));
                if let Some(TokenTree::Group(attribute)) = tokens.next() {
                    item.is_test |= is_test(&attribute);
                    item.file = item.file.take().or_else(|| named_file(&attribute));
                }
                continue;
            }
            TokenTree::Ident(ident) if item.keyword.is_empty() => {
                let word = ident.to_string();
                item.is_public |= word == "pub";
                let next = match tokens.peek() {
                    Some(TokenTree::Ident(next)) => Some(next.to_string()),
                    _ => None,
                };
                // `const fn` is a function, and contextual keywords such as `union` may be names.
                let begins = KEYWORDS.contains(&word.as_str())
                    && !(word == "const"
                        && next.as_deref().is_some_and(|next| ["async", "extern", "fn", "unsafe"].contains(&next)));
                let is_named = next.is_some() || ["const", "macro_rules", "use"].contains(&word.as_str());
                if begins && is_named {
                    item.name = next.filter(|_| word != "use");
                    item.keyword = word;
                } else if word == "impl" {
                    item.keyword = word;
                }
            }
            TokenTree::Ident(ident) if item.keyword == "macro_rules" && item.name.is_none() => {
                item.name = Some(ident.to_string());
            }
            _ => {}
        }
        let ends = match &token {
            TokenTree::Punct(mark) => mark.as_char() == ';',
            TokenTree::Group(group) => {
                group.delimiter() == Delimiter::Brace && !UNTIL_SEMICOLON.contains(&item.keyword.as_str())
            }
            _ => false,
        };
        if let (true, TokenTree::Group(group)) = (ends, &token) {
            item.body = Some(group.clone());
        }
        item.tokens.push(token);
        if ends {
            items.push(std::mem::take(&mut item));
        }
    }
    items
}

/// Whether an attribute is `cfg(test)`, also within `all` or `any`.
fn is_test(attribute: &Group) -> bool {
    fn names_test(tokens: TokenStream) -> bool {
        let mut negated = false;
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => {
                negated = ident == "not";
                ident == "test"
            }
            TokenTree::Group(group) => !std::mem::take(&mut negated) && names_test(group.stream()),
            _ => false,
        })
    }
    let mut tokens = attribute.stream().into_iter();
    let is_condition = matches!(tokens.next(), Some(TokenTree::Ident(name)) if name == "cfg");
    is_condition && names_test(tokens.collect())
}

/// Returns the file in `path = "..."`.
fn named_file(attribute: &Group) -> Option<String> {
    let mut tokens = attribute.stream().into_iter();
    let is_path = matches!(tokens.next()?, TokenTree::Ident(name) if name == "path");
    let file = tokens.nth(1).filter(|_| is_path)?.to_string();
    Some(file.trim_matches('"').to_owned())
}

/// Parses a `use` declaration, including its visibility and semicolon.
fn imports(tokens: &[TokenTree], is_exported: bool) -> Vec<Import> {
    let is_use = |token: &TokenTree| matches!(token, TokenTree::Ident(ident) if ident == "use");
    let start = tokens.iter().position(is_use).map_or(0, |at| at + 1);
    let mut imports = Vec::new();
    tree(tokens.get(start..).unwrap_or_default(), &[], is_exported, &mut imports);
    imports
}

/// Adds the paths of a `use` tree, each with a prefix.
fn tree(tokens: &[TokenTree], prefix: &[String], is_exported: bool, imports: &mut Vec<Import>) {
    for branch in tokens.split(|token| matches!(token, TokenTree::Punct(mark) if [',', ';'].contains(&mark.as_char())))
    {
        let Some(first) = branch.first() else { continue };
        let line = first.span().start().line;
        // Paths that start with `::` are in other crates.
        if prefix.is_empty() && matches!(first, TokenTree::Punct(_)) {
            continue;
        }
        let mut segments = prefix.to_vec();
        let mut name = None;
        let mut is_glob = false;
        let mut renames = false;
        for token in branch {
            match token {
                TokenTree::Ident(ident) if ident == "as" => renames = true,
                TokenTree::Ident(ident) if renames => name = Some(ident.to_string()),
                TokenTree::Ident(ident) => segments.push(ident.to_string()),
                TokenTree::Punct(mark) => is_glob |= mark.as_char() == '*',
                TokenTree::Group(group) => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    tree(&inner, &segments, is_exported, imports);
                    is_glob = true;
                    segments.clear();
                }
                TokenTree::Literal(_) => {}
            }
        }
        if segments.is_empty() {
            continue;
        }
        // `a::{self}` is `a`.
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let name = name.or_else(|| segments.last().cloned()).filter(|_| !is_glob);
        imports.push(Import { name, path: Reference { segments, line }, is_exported });
    }
}

/// Adds the paths in the code of an item: those with `::`, and those of nested `use` declarations.
fn paths(tokens: &[TokenTree], module: &mut Module) {
    let mut at = 0;
    let mut behind_path_or_dot = false;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => {
                // A path in a visibility is not a dependency.
                let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                if !matches!(before, Some(TokenTree::Ident(word)) if word == "pub") {
                    paths(&group.stream().into_iter().collect::<Vec<_>>(), module);
                }
                behind_path_or_dot = false;
            }
            TokenTree::Ident(word) if word == "use" => {
                let is_end = |token: &TokenTree| matches!(token, TokenTree::Punct(mark) if mark.as_char() == ';');
                let rest = tokens.get(at..).unwrap_or_default();
                let end = rest.iter().position(is_end).unwrap_or(rest.len());
                let inner = imports(rest.get(..end).unwrap_or_default(), false);
                module.paths.extend(inner.into_iter().map(|import| import.path));
                at += end;
                behind_path_or_dot = false;
            }
            TokenTree::Ident(first) if !behind_path_or_dot => {
                let line = first.span().start().line;
                let mut segments = vec![first.to_string()];
                while let (Some(TokenTree::Punct(one)), Some(TokenTree::Punct(two)), Some(TokenTree::Ident(next))) =
                    (tokens.get(at + 1), tokens.get(at + 2), tokens.get(at + 3))
                    && (one.as_char(), two.as_char()) == (':', ':')
                {
                    segments.push(next.to_string());
                    at += 3;
                }
                if segments.len() > 1 {
                    module.paths.push(Reference { segments, line });
                }
            }
            TokenTree::Punct(mark) => {
                let before = at.checked_sub(1).and_then(|at| tokens.get(at));
                let is_path =
                    mark.as_char() == ':' && matches!(before, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
                behind_path_or_dot = is_path || mark.as_char() == '.';
            }
            TokenTree::Ident(_) | TokenTree::Literal(_) => behind_path_or_dot = false,
        }
        at += 1;
    }
}
