//! Reduces the download size of a WebAssembly module without changing its behavior.
//!
//! - **Order.** The compiler emits thousands of functions that differ in a few bytes, and `wasm-bindgen` sorts them by size. Brotli encodes
//!   close repetitions in fewer bits, and the list of function types is smaller if equal types are adjacent. So functions are grouped by
//!   type, and each is followed by the most similar one.
//! - **Unused functions** (`unused`) are removed, in every build.
//! - **Duplicates** (`duplicates`). Functions of different types often have equal bodies. One of them replaces the others, which may make their callers equal.
//! - **Names.** The names of functions imported from the script contain hashes, which hardly compress. They are replaced by short names in
//!   the module and the script.

mod duplicates;
mod parts;
mod unused;

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, Result, ensure};

use self::duplicates::duplicates;
use self::parts::{Function, Parts, numbered, written};
pub(crate) use self::unused::without_unused;
use crate::bindgen::Module;

/// The similarity of two functions is the share of common sequences of this many bytes.
const SEQUENCE: usize = 5;

/// Sequences in more functions than this are ignored, because they are not significant and slow to count.
const MAX_HOLDERS: usize = 1_000;

/// Reduces a module and its script.
pub(crate) fn compact(module: &Module) -> Result<Module> {
    let Parts { names, functions } = Parts::read(&module.wasm).context("cannot read the WebAssembly")?;
    let mut js = str::from_utf8(&module.js)?.to_owned();
    for (name, short) in &names {
        let (member, short) = (format!(" {name}: function"), format!(" {short}: function"));
        ensure!(js.matches(&member).count() == 1, "the script of the WebAssembly does not define `{name}` once");
        js = js.replace(&member, &short);
    }
    let first = functions.first().map_or(0, |function| function.index);
    let duplicates = duplicates(&functions)?;
    let mut by_type: BTreeMap<u32, Vec<Function>> = BTreeMap::new();
    for function in functions.into_iter().filter(|function| !duplicates.contains_key(&function.index)) {
        by_type.entry(function.type_index).or_default().push(function);
    }
    let functions: Vec<Function> = by_type.into_values().flat_map(chain).collect();
    let mut indices = numbered(&functions, first);
    let replaced: Vec<(u32, u32)> =
        duplicates.iter().filter_map(|(duplicate, kept)| Some((*duplicate, *indices.get(kept)?))).collect();
    indices.extend(replaced);
    let wasm = written(&module.wasm, names, (first, indices), functions)?;
    Ok(Module { js: js.into_bytes(), wasm })
}

/// A function with the sequences of bytes in its body.
struct Similar<'a> {
    function: Function<'a>,
    sequences: HashSet<&'a [u8]>,
}

/// Orders functions so that each is followed by the most similar remaining one.
fn chain<'a>(mut functions: Vec<Function<'a>>) -> Vec<Function<'a>> {
    functions.sort_by_key(|function| function.body.as_bytes());
    let sequences = |function: &Function<'a>| function.body.as_bytes().windows(SEQUENCE).collect();
    let mut remaining: BTreeMap<usize, Similar<'a>> = functions
        .into_iter()
        .map(|function| Similar { sequences: sequences(&function), function })
        .enumerate()
        .collect();
    let mut holders: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (place, similar) in &remaining {
        for sequence in &similar.sequences {
            holders.entry(*sequence).or_default().push(*place);
        }
    }
    holders.retain(|_, places| places.len() <= MAX_HOLDERS);
    let mut chained: Vec<Similar<'a>> = Vec::with_capacity(remaining.len());
    while let Some((first, _)) = remaining.first_key_value() {
        let next = chained.last().and_then(|last| most_similar(last, &holders, &remaining)).unwrap_or(*first);
        chained.extend(remaining.remove(&next));
    }
    chained.into_iter().map(|similar| similar.function).collect()
}

/// Returns the index of the remaining function with the highest similarity; `None` if no function has common sequences.
fn most_similar(
    function: &Similar<'_>,
    holders: &HashMap<&[u8], Vec<usize>>,
    remaining: &BTreeMap<usize, Similar<'_>>,
) -> Option<usize> {
    let mut shared: HashMap<usize, usize> = HashMap::new();
    for place in function.sequences.iter().filter_map(|sequence| holders.get(*sequence)).flatten() {
        *shared.entry(*place).or_default() += 1;
    }
    let similarity = |(place, shared): (usize, usize)| {
        let all = function.sequences.len() + remaining.get(&place)?.sequences.len() - shared;
        // Ties are resolved by index, so that the order is deterministic.
        Some((shared * 1_000_000 / all, Reverse(place)))
    };
    shared.into_iter().filter_map(similarity).max().map(|(_, Reverse(place))| place)
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection, TypeSection,
        ValType,
    };
    use wasmparser::{Operator, Parser, Payload};

    use super::*;

    const JS: &str = "const import0 = {\n    __wbg_now_0123456789abcdef: function() {},\n};\n";

    /// A module with one imported and four own functions: each calls the next one, and the last one calls the imported one.
    fn module() -> Module {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        types.ty().function([ValType::I32], [ValType::I32]);
        let mut imports = ImportSection::new();
        imports.import("./quilt_bg.js", "__wbg_now_0123456789abcdef", EntityType::Function(0));
        let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        for (number, (name, type_index)) in (1..).zip([("first", 1), ("second", 0), ("third", 1), ("fourth", 0)]) {
            functions.function(type_index);
            exports.export(name, ExportKind::Func, number);
            let mut function = Function::new([]);
            function.instructions().i32_const(1_000 + number as i32).call((number + 1) % 5).end();
            code.function(&function);
        }
        let mut wasm = wasm_encoder::Module::new();
        wasm.section(&types).section(&imports).section(&functions).section(&exports).section(&code);
        Module { js: JS.into(), wasm: wasm.finish() }
    }

    /// For each export, its constant and the name of the export that it calls.
    fn calls(wasm: &[u8]) -> BTreeMap<String, (i32, String)> {
        let (mut names, mut bodies) = (HashMap::from([(0, "imported".to_owned())]), Vec::new());
        for payload in Parser::new(0).parse_all(wasm) {
            match payload.expect("valid") {
                Payload::ExportSection(exports) => {
                    let exports = exports.into_iter().map(|export| export.expect("valid"));
                    names.extend(exports.map(|export| (export.index, export.name.to_owned())));
                }
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        let calls = (1..).zip(bodies).map(|(index, body)| {
            let mut operators = body.get_operators_reader().expect("valid").into_iter();
            let Some(Ok(Operator::I32Const { value })) = operators.next() else { panic!("there is no number") };
            let Some(Ok(Operator::Call { function_index })) = operators.next() else { panic!("there is no call") };
            (names[&index].clone(), (value, names[&function_index].clone()))
        });
        calls.collect()
    }

    #[test]
    fn functions_of_a_type_are_adjacent_and_call_the_same_ones_as_before() {
        let before = module();
        let after = compact(&before).expect("valid");
        assert_eq!(calls(&after.wasm), calls(&before.wasm));
        assert_eq!(calls(&after.wasm)["fourth"], (1_004, "imported".into()));
        let types = Parts::read(&after.wasm)
            .expect("valid")
            .functions
            .iter()
            .map(|function| function.type_index)
            .collect::<Vec<_>>();
        assert_eq!(types, [0, 0, 1, 1]);
    }

    #[test]
    fn equal_functions_are_one_as_are_their_callers() {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        types.ty().function([], []);
        let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
        // The third and fourth call the first and the second, which are equal. The fifth has another type.
        let bodies: [(u32, Option<u32>); 5] = [(0, None), (0, None), (0, Some(0)), (0, Some(1)), (1, None)];
        for (number, (type_index, called)) in (0..).zip(bodies) {
            functions.function(type_index);
            exports.export(&format!("f{number}"), ExportKind::Func, number);
            let mut function = Function::new([]);
            match called {
                Some(called) => function.instructions().call(called).end(),
                None if type_index == 0 => function.instructions().i32_const(7).end(),
                None => function.instructions().end(),
            };
            code.function(&function);
        }
        let mut wasm = wasm_encoder::Module::new();
        wasm.section(&types).section(&functions).section(&exports).section(&code);
        let after = compact(&Module { js: Vec::new(), wasm: wasm.finish() }).expect("valid");
        assert_eq!(Parts::read(&after.wasm).expect("valid").functions.len(), 3);
        let mut exported = BTreeMap::new();
        for payload in Parser::new(0).parse_all(&after.wasm) {
            let Payload::ExportSection(exports) = payload.expect("valid") else { continue };
            for export in exports {
                let export = export.expect("valid");
                exported.insert(export.name.to_owned(), export.index);
            }
        }
        assert_eq!((exported["f0"], exported["f2"]), (exported["f1"], exported["f3"]));
        assert_ne!(exported["f0"], exported["f2"]);
    }

    #[test]
    fn imported_functions_have_short_names_on_both_sides() {
        let after = compact(&module()).expect("valid");
        assert_eq!(String::from_utf8(after.js).expect("text"), JS.replace("__wbg_now_0123456789abcdef", "i0"));
        let names = Parts::read(&after.wasm).expect("valid").names;
        assert_eq!(names.keys().collect::<Vec<_>>(), [&"i0"]);
    }

    #[test]
    fn a_script_that_does_not_fit_the_module_is_refused() {
        assert!(compact(&Module { js: Vec::new(), ..module() }).is_err());
    }
}
