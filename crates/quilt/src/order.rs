//! The order in which squares run.
//!
//! It is either the order of the squares themselves, or a random permutation, in which the quilt fills evenly. Every node computes the same
//! permutation without storing it. A Feistel network permutes the smallest power of two that is at least the number of squares. A result
//! outside the squares is permuted again until it is inside ("cycle walking"), which takes fewer than two rounds on average.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::grid::Index;

/// A position in the order. The task at position 0 runs first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub u32);

const ROUNDS: u32 = 8;

/// The number of values that are permuted at the same time.
const LANES: usize = 64;

/// The order in which the squares of a batch run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TaskOrder {
    /// A permutation determined by the seed.
    #[default]
    Random,
    /// Reading order: row by row.
    Input,
}

impl TaskOrder {
    /// Returns the word in requests and documents.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Input => "input",
        }
    }
}

/// A permutation of `0..len`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    kind: TaskOrder,
    seed: u64,
    len: u32,
    low_bits: u32,
    high_bits: u32,
}

impl Order {
    /// The order of `len` squares. Only a random order uses the seed.
    ///
    /// `len` must not exceed 2^31. A [`Grid`](crate::Grid) is much smaller.
    #[must_use]
    pub fn new(kind: TaskOrder, seed: u64, len: u32) -> Self {
        let bits = len.max(1).next_power_of_two().trailing_zeros();
        let high_bits = bits / 2;
        Self { kind, seed, len, low_bits: bits - high_bits, high_bits }
    }

    /// The square at a position below `len`.
    #[must_use]
    pub fn index(&self, position: Position) -> Index {
        debug_assert!(position.0 < self.len);
        let mut value = position.0;
        loop {
            value = self.permute(value, 0..ROUNDS);
            if value < self.len {
                return Index(value);
            }
        }
    }

    /// The position of a square below `len`: the inverse of [`Order::index`].
    #[must_use]
    pub fn position(&self, index: Index) -> Position {
        debug_assert!(index.0 < self.len);
        let mut value = index.0;
        loop {
            value = self.permute(value, (0..ROUNDS).rev());
            if value < self.len {
                return Position(value);
            }
        }
    }

    /// The squares at these positions. Several times faster than single calls, because the loop is vectorized.
    #[must_use]
    pub fn indices(&self, positions: &[Position]) -> Vec<Index> {
        let mut values: Vec<u32> = positions.iter().map(|position| position.0).collect();
        self.permute_all(&mut values, || 0..ROUNDS);
        values.into_iter().map(Index).collect()
    }

    /// The positions of consecutive squares, as fast as [`Order::indices`].
    #[must_use]
    pub fn positions(&self, indices: Range<u32>) -> Vec<Position> {
        let mut values: Vec<u32> = indices.collect();
        self.permute_all(&mut values, || (0..ROUNDS).rev());
        values.into_iter().map(Position).collect()
    }

    fn permute_all<I: Iterator<Item = u32>>(&self, values: &mut [u32], rounds: impl Fn() -> I) {
        if self.kind == TaskOrder::Input {
            return;
        }
        for lanes in values.chunks_mut(LANES) {
            for round in rounds() {
                for value in lanes.iter_mut() {
                    *value = self.run_round(*value, round);
                }
            }
            for value in lanes.iter_mut() {
                while *value >= self.len {
                    *value = self.permute(*value, rounds());
                }
            }
        }
    }

    fn permute(&self, value: u32, rounds: impl Iterator<Item = u32>) -> u32 {
        match self.kind {
            TaskOrder::Input => value,
            TaskOrder::Random => rounds.fold(value, |value, round| self.run_round(value, round)),
        }
    }

    /// Changes one half by a function of the other, so that the rounds in reverse order undo it.
    fn run_round(&self, value: u32, round: u32) -> u32 {
        let low_mask = (1 << self.low_bits) - 1;
        let high_mask = (1 << self.high_bits) - 1;
        let (low, high) = (value & low_mask, value >> self.low_bits);
        value
            ^ if round.is_multiple_of(2) {
                self.mix(high, round) & low_mask
            } else {
                (self.mix(low, round) & high_mask) << self.low_bits
            }
    }

    /// The finalizer of SplitMix64 over seed, round and half.
    fn mix(&self, half: u32, round: u32) -> u32 {
        let mut z =
            self.seed.wrapping_add((u64::from(round) << 32 | u64::from(half)).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) as u32
    }
}
