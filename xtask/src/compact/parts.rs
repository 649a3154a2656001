//! The parts of a WebAssembly module that are changed.

use std::collections::HashMap;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, FunctionSection, ImportSection};
use wasmparser::{
    CodeSectionReader, CustomSectionReader, FunctionBody, FunctionSectionReader, ImportSectionReader, Parser, Payload,
    TypeRef,
};

/// The new indices of functions in this order, by their old ones.
pub(super) fn numbered(functions: &[Function<'_>], first: u32) -> HashMap<u32, u32> {
    functions.iter().map(|function| function.index).zip(first..).collect()
}

/// Writes a module with these names of imports and these functions.
pub(super) fn written(
    wasm: &[u8],
    names: HashMap<&str, String>,
    (imported, indices): (u32, HashMap<u32, u32>),
    functions: Vec<Function<'_>>,
) -> Result<Vec<u8>> {
    let mut written = wasm_encoder::Module::new();
    Compact { names, imported, indices, functions }
        .parse_core_module(&mut written, Parser::new(0), wasm)
        .context("cannot write the WebAssembly")?;
    Ok(written.finish())
}

/// The parts of a module.
pub(super) struct Parts<'a> {
    /// Short names of imported functions, by their original names.
    pub(super) names: HashMap<&'a str, String>,
    /// The functions that are not imported.
    pub(super) functions: Vec<Function<'a>>,
}

pub(super) struct Function<'a> {
    pub(super) index: u32,
    pub(super) type_index: u32,
    pub(super) body: FunctionBody<'a>,
}

impl<'a> Parts<'a> {
    pub(super) fn read(wasm: &'a [u8]) -> Result<Self> {
        let (mut names, mut types, mut bodies) = (HashMap::new(), Vec::new(), Vec::new());
        let mut imported = 0;
        for payload in Parser::new(0).parse_all(wasm) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if let TypeRef::Func(_) = import.ty {
                            names.insert(import.name, format!("i{imported}"));
                            imported += 1;
                        }
                    }
                }
                Payload::FunctionSection(section) => types = section.into_iter().collect::<Result<_, _>>()?,
                Payload::CodeSectionEntry(body) => bodies.push(body),
                _ => {}
            }
        }
        // Imported functions have the first indices.
        let functions =
            (imported..).zip(types).zip(bodies).map(|((index, type_index), body)| Function { index, type_index, body });
        Ok(Self { names, functions: functions.collect() })
    }
}

/// The module refers to a function with this index, which was removed.
#[derive(Debug, thiserror::Error)]
#[error("function {0} was removed, but something refers to it")]
pub(super) struct Removed(u32);

/// Writes the module.
struct Compact<'a> {
    names: HashMap<&'a str, String>,
    /// The number of imported functions, whose indices stay the same.
    imported: u32,
    /// The new indices of the other functions, by their old indices.
    indices: HashMap<u32, u32>,
    /// In the new order.
    functions: Vec<Function<'a>>,
}

impl Reencode for Compact<'_> {
    type Error = Removed;

    fn function_index(&mut self, index: u32) -> Result<u32, Error<Removed>> {
        match self.indices.get(&index) {
            Some(new) => Ok(*new),
            None if index < self.imported => Ok(index),
            None => Err(Error::UserError(Removed(index))),
        }
    }

    fn parse_import_section(
        &mut self,
        section: &mut ImportSection,
        imports: ImportSectionReader<'_>,
    ) -> Result<(), Error<Removed>> {
        for import in imports.into_imports() {
            let import = import?;
            let kind = self.entity_type(import.ty)?;
            section.import(import.module, self.names.get(import.name).map_or(import.name, String::as_str), kind);
        }
        Ok(())
    }

    fn parse_function_section(
        &mut self,
        section: &mut FunctionSection,
        _: FunctionSectionReader<'_>,
    ) -> Result<(), Error<Removed>> {
        for function in &self.functions {
            section.function(function.type_index);
        }
        Ok(())
    }

    fn parse_code_section(
        &mut self,
        section: &mut CodeSection,
        _: CodeSectionReader<'_>,
    ) -> Result<(), Error<Removed>> {
        for function in std::mem::take(&mut self.functions) {
            utils::parse_function_body(self, section, function.body)?;
        }
        Ok(())
    }

    /// Custom sections only name tools, so they are dropped.
    fn parse_custom_section(
        &mut self,
        _: &mut wasm_encoder::Module,
        _: CustomSectionReader<'_>,
    ) -> Result<(), Error<Removed>> {
        Ok(())
    }
}
