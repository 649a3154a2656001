//! Functions with equal bodies.

use std::collections::HashMap;

use anyhow::{Context, Result};
use wasm_encoder::reencode::{Error, Reencode, utils};
use wasm_encoder::{CodeSection, Encode};

use super::parts::Function;

/// Finds functions with the same type and body as another one. Returns the indices of the functions that replace them, by their own indices.
pub(super) fn duplicates(functions: &[Function<'_>]) -> Result<HashMap<u32, u32>> {
    let mut replaced: HashMap<u32, u32> = HashMap::new();
    loop {
        let mut kept: HashMap<(u32, Vec<u8>), u32> = HashMap::new();
        let mut found: HashMap<u32, u32> = HashMap::new();
        for function in functions.iter().filter(|function| !replaced.contains_key(&function.index)) {
            let mut section = CodeSection::new();
            utils::parse_function_body(&mut Renumber(&replaced), &mut section, function.body.clone())
                .context("cannot write a function")?;
            let mut body = Vec::new();
            section.encode(&mut body);
            let first = *kept.entry((function.type_index, body)).or_insert(function.index);
            if first != function.index {
                found.insert(function.index, first);
            }
        }
        if found.is_empty() {
            return Ok(replaced);
        }
        for first in replaced.values_mut() {
            *first = found.get(first).copied().unwrap_or(*first);
        }
        replaced.extend(found);
    }
}

/// Replaces the indices of functions.
struct Renumber<'a>(&'a HashMap<u32, u32>);

impl Reencode for Renumber<'_> {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, index: u32) -> Result<u32, Error> {
        Ok(self.0.get(&index).copied().unwrap_or(index))
    }
}
