//! Functions that are never called.
//!
//! Leptos refers to some functions of each view from a table of function pointers, so the compiler has to keep them, although this page calls
//! none of them. Their bodies are replaced by a trap, and what only they called is removed.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, ensure};
use wasmparser::{
    BinaryReader, ElementItems, ExternalKind, FunctionBody, KnownCustom, Name, Operator, Parser, Payload,
};

use super::parts::{Function, Parts, numbered, written};
use crate::bindgen::Module;

/// Parts of the names of functions that are never called, and why.
const NEVER_CALLED: [&str; 5] = [
    // Hydrates views that are loaded lazily; islands are not.
    "hydrate_async",
    // Hydrates views that were rendered from a template in the browser, which no view here is.
    "hydrate_from_template",
    // Add attributes to the elements of views of any type. They are added to elements only.
    "Mountable>::elements",
    "into_any_attr::clone",
    // Waits for the transitions of a router, which islands do not have.
    "std::sync::mpmc",
];

/// Shorter bodies stay, in bytes.
const MIN_BODY: usize = 32;

/// A body without locals that traps.
const TRAP: &[u8] = &[0x00, 0x00, 0x0b];

/// Removes the functions that are never called, and the names of all others. Every build does this, so that the browser tests would find a
/// function that is called after all.
pub(crate) fn without_unused(module: Module) -> Result<Module> {
    let Parts { mut functions, .. } = Parts::read(&module.wasm).context("cannot read the WebAssembly")?;
    let first = functions.first().map_or(0, |function| function.index);
    trap(&function_names(&module.wasm)?, &mut functions)?;
    let reachable = reachable(&module.wasm, &functions)?;
    functions.retain(|function| reachable.contains(&function.index));
    let wasm = written(&module.wasm, HashMap::new(), (first, numbered(&functions, first)), functions)?;
    Ok(Module { js: module.js, wasm })
}

fn trap(names: &HashMap<u32, &str>, functions: &mut [Function<'_>]) -> Result<()> {
    for part in NEVER_CALLED {
        let mut count = 0;
        for function in functions.iter_mut() {
            let is_named = names.get(&function.index).is_some_and(|name| name.contains(part));
            // The compiler may have merged a short body with that of a function that is called.
            if is_named && function.body.as_bytes().len() >= MIN_BODY {
                function.body = FunctionBody::new(BinaryReader::new(TRAP, 0));
                count += 1;
            }
        }
        ensure!(count > 0, "no function is called `{part}` any more: remove it from the list");
    }
    Ok(())
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
        TypeSection,
    };

    use super::*;

    /// A module whose exported function calls the first one that is never called, which calls `helper`. All other parts of the list have a
    /// function as well.
    fn module(named: impl Fn(&str) -> String) -> Module {
        let mut types = TypeSection::new();
        types.ty().function([], []);
        let (mut functions, mut exports) = (FunctionSection::new(), ExportSection::new());
        let (mut code, mut names) = (CodeSection::new(), NameMap::new());
        exports.export("run", ExportKind::Func, 0);
        let all = ["run", "helper"].map(str::to_owned).into_iter().chain(NEVER_CALLED.map(named));
        for (index, name) in (0..).zip(all) {
            functions.function(0);
            names.append(index, &name);
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

    #[test]
    fn a_function_that_is_never_called_traps_and_what_it_called_is_gone() {
        let after = without_unused(module(|part| format!("<View as {part}>::{{closure}}"))).expect("valid");
        let functions = Parts::read(&after.wasm).expect("valid").functions;
        let bodies: Vec<&[u8]> = functions.iter().map(|function| function.body.as_bytes()).collect();
        // The export calls what is now the second function.
        assert_eq!(bodies, [&[0x00, 0x10, 0x01, 0x0b], TRAP]);
        assert!(function_names(&after.wasm).expect("valid").is_empty());
    }

    #[test]
    fn a_name_that_no_function_has_is_reported() {
        let refused = without_unused(module(|_| "other".into())).err().expect("refused");
        assert!(refused.to_string().contains("`hydrate_async` any more"), "{refused}");
    }
}
