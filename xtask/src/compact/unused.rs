//! Functions that the page does not need.
//!
//! Leptos refers to some functions of each view from a table of function pointers, so the compiler has to keep them, although this page calls
//! none of them. Their bodies are replaced by a trap. The standard library formats floating point numbers with 7 kB of code, for error
//! messages of JSON alone: these functions succeed and write nothing. What only the replaced bodies called is removed.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use wasmparser::{
    BinaryReader, ElementItems, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser, Payload,
};

use super::parts::{Function, Parts, numbered, written};
use crate::bindgen::Module;

/// The functions that are never called, by the ends of their paths, or by their module; and why. They include the first closure in them, which
/// is the body of an asynchronous function.
///
/// Other functions in them stay, as do those that drop them: the compiler merges functions with equal bodies and keeps one of their names,
/// and these often are equal to functions of others.
const NEVER_CALLED: [&str; 4] = [
    // Hydrates views that are loaded lazily; islands are not.
    "::hydrate_async",
    // Hydrates views that were rendered from a template in the browser, which no view here is.
    "::hydrate_from_template",
    // Adds attributes to the elements of views of any type. They are added to elements only.
    "Mountable>::elements",
    // Waits for the transitions of a router, which islands do not have.
    "std::sync::mpmc::",
];

/// Shorter bodies stay, in bytes, because they are often equal to others.
const MIN_BODY: usize = 64;

/// The beginning of the last parts of the names of functions that write floating point numbers. The page uses `quilt::number::decimal`.
const SILENCED: &str = "::fmt::float::float_to_";

/// A body without locals that traps.
const TRAP: &[u8] = &[0x00, 0x00, 0x0b];

/// A body without locals that returns `i32` 0, which is `Ok` of `fmt::Result`.
const WRITE_NOTHING: &[u8] = &[0x00, 0x41, 0x00, 0x0b];

/// Removes the functions that are never called, and the names of all others. Every build does this, so that the browser tests would find a
/// function that is called after all.
pub(crate) fn without_unused(module: Module) -> Result<Module> {
    let Parts { mut functions, .. } = Parts::read(&module.wasm).context("cannot read the WebAssembly")?;
    let first = functions.first().map_or(0, |function| function.index);
    let names = function_names(&module.wasm)?;
    trap(&names, &mut functions)?;
    silence(&names, &mut functions);
    let reachable = reachable(&module.wasm, &functions)?;
    functions.retain(|function| reachable.contains(&function.index));
    let wasm = written(&module.wasm, HashMap::new(), (first, numbered(&functions, first)), functions)?;
    Ok(Module { js: module.js, wasm })
}

fn trap(names: &HashMap<u32, &str>, functions: &mut [Function<'_>]) -> Result<()> {
    for part in NEVER_CALLED {
        let mut count = 0;
        for function in functions.iter_mut() {
            let is_named = names.get(&function.index).is_some_and(|name| is_named(name, part));
            if is_named && function.body.as_bytes().len() >= MIN_BODY {
                function.body = FunctionBody::new(BinaryReader::new(TRAP, 0));
                count += 1;
            }
        }
        ensure!(count > 0, "no function is called `{part}` any more: remove it from the list");
    }
    Ok(())
}

fn silence(names: &HashMap<u32, &str>, functions: &mut [Function<'_>]) {
    for function in functions.iter_mut() {
        if names.get(&function.index).is_some_and(|name| name.contains(SILENCED)) {
            function.body = FunctionBody::new(BinaryReader::new(WRITE_NOTHING, 0));
        }
    }
}

fn is_named(name: &str, part: &str) -> bool {
    // The last part of a name is a hash.
    let path = name.rsplit_once("::h").map_or(name, |(path, _)| path);
    path.strip_suffix("::{{closure}}").unwrap_or(path).ends_with(part) || path.starts_with(part)
}

fn function_names(wasm: &[u8]) -> Result<HashMap<u32, &str>> {
    let mut names = HashMap::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let Payload::CustomSection(section) = payload? else { continue };
        let KnownCustom::Name(sections) = section.as_known() else { continue };
        for section in sections {
            let Name::Function(functions) = section? else { continue };
            for naming in functions {
                let naming = naming?;
                names.insert(naming.index, naming.name);
            }
        }
    }
    Ok(names)
}

/// The functions that exports, tables and globals refer to, directly or through other functions.
fn reachable(wasm: &[u8], functions: &[Function<'_>]) -> Result<HashSet<u32>> {
    let bodies: HashMap<u32, &FunctionBody<'_>> =
        functions.iter().map(|function| (function.index, &function.body)).collect();
    let mut waiting = roots(wasm)?;
    let mut reachable = HashSet::new();
    while let Some(index) = waiting.pop() {
        if let Some(body) = bodies.get(&index).filter(|_| reachable.insert(index)) {
            for operator in body.get_operators_reader()? {
                waiting.extend(referenced(&operator?));
            }
        }
    }
    Ok(reachable)
}

fn roots(wasm: &[u8]) -> Result<Vec<u32>> {
    let mut roots = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        match payload? {
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    roots.extend((export.kind == ExternalKind::Func).then_some(export.index));
                }
            }
            Payload::StartSection { func, .. } => roots.push(func),
            Payload::ElementSection(elements) => {
                for element in elements {
                    match element?.items {
                        ElementItems::Functions(functions) => {
                            for function in functions {
                                roots.push(function?);
                            }
                        }
                        ElementItems::Expressions(_, expressions) => {
                            for expression in expressions {
                                for operator in expression?.get_operators_reader() {
                                    roots.extend(referenced(&operator?));
                                }
                            }
                        }
                    }
                }
            }
            Payload::GlobalSection(globals) => {
                for global in globals {
                    for operator in global?.init_expr.get_operators_reader() {
                        roots.extend(referenced(&operator?));
                    }
                }
            }
            _ => {}
        }
    }
    Ok(roots)
}

fn referenced(operator: &Operator<'_>) -> Option<u32> {
    match operator {
        Operator::Call { function_index }
        | Operator::ReturnCall { function_index }
        | Operator::RefFunc { function_index } => Some(*function_index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wasm_encoder::{
        CodeSection, ExportKind, ExportSection, Function as NewFunction, FunctionSection, NameMap, NameSection,
        TypeSection, ValType,
    };

    use super::*;

    /// A module with an exported function, a helper, and a function of each of these names. The export calls the first of them, and all of
    /// them call the helper.
    fn module(named: &[String]) -> Module {
        let mut types = TypeSection::new();
        types.ty().function([], [ValType::I32]);
        let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
        let (mut code, mut names) = (CodeSection::new(), NameMap::new());
        exports.export("run", ExportKind::Func, 0);
        let all = ["run".to_owned(), "helper".to_owned()];
        for (index, name) in (0..).zip(all.iter().chain(named)) {
            functions.function(0);
            names.append(index, name);
            let mut function = NewFunction::new([]);
            if index == 0 {
                function.instructions().call(2).end();
            } else {
                // Long enough to be replaced.
                for _ in 0..MIN_BODY {
                    function.instructions().nop();
                }
                function.instructions().call(1).end();
            }
            code.function(&function);
        }
        let mut named = NameSection::new();
        named.functions(&names);
        let mut wasm = wasm_encoder::Module::new();
        wasm.section(&types).section(&functions).section(&exports).section(&code).section(&named);
        Module { js: Vec::new(), wasm: wasm.finish() }
    }

    /// The bodies of the functions that are left, beginning with the export.
    fn bodies_after(named: &[String]) -> Vec<Vec<u8>> {
        let after = without_unused(module(named)).expect("valid");
        assert!(function_names(&after.wasm).expect("valid").is_empty());
        let functions = Parts::read(&after.wasm).expect("valid").functions;
        functions.iter().map(|function| function.body.as_bytes().to_vec()).collect()
    }

    fn all_parts() -> Vec<String> {
        NEVER_CALLED.map(|part| format!("<View as A>{part}::{{{{closure}}}}::h0123")).to_vec()
    }

    /// The call of the second function that is left.
    const EXPORT: [u8; 4] = [0x00, 0x10, 0x01, 0x0b];

    #[test]
    fn a_function_that_is_never_called_traps_and_what_it_called_is_gone() {
        assert_eq!(bodies_after(&all_parts()), [EXPORT.to_vec(), TRAP.to_vec()]);
    }

    #[test]
    fn a_function_that_writes_numbers_writes_nothing_and_what_it_called_is_gone() {
        let mut named = all_parts();
        named.insert(0, "core[0123]::fmt::float::float_to_decimal_common_exact::<f64>".into());
        assert_eq!(bodies_after(&named), [EXPORT.to_vec(), WRITE_NOTHING.to_vec()]);
    }

    #[test]
    fn functions_that_may_have_been_merged_with_others_stay() {
        let closure = NEVER_CALLED[0].to_owned() + "::{{closure}}";
        let within = format!("<View as A>{closure}::prep::h0123");
        for merged in [
            within,
            format!("core::ptr::drop_in_place<A{closure}>::h0123"),
            "core::ptr::drop_in_place<std::sync::mpmc::Context>::h0123".into(),
        ] {
            let mut named = all_parts();
            named.insert(0, merged);
            assert_eq!(bodies_after(&named).len(), 3, "the export, the function and the helper");
        }
    }

    #[test]
    fn a_name_that_no_function_has_is_reported() {
        let refused = without_unused(module(&["other".into()])).err().expect("refused");
        assert!(refused.to_string().contains("hydrate_async` any more"), "{refused}");
    }
}
