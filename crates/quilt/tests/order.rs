//! The order is a permutation for every size, and depends on the seed.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod common;

use common::config;
use proptest::prelude::*;
use quilt::{Index, Order, Position, TaskOrder};

fn assert_bijection(seed: u64, len: u32) {
    let order = Order::new(TaskOrder::Random, seed, len);
    let mut seen = vec![false; len as usize];
    for position in (0..len).map(Position) {
        let index = order.index(position);
        assert!(index.0 < len, "{position:?} of {len} goes outside");
        assert!(!std::mem::replace(&mut seen[index.0 as usize], true), "{index:?} of {len} is hit twice");
        assert_eq!(order.position(index), position);
    }
}

#[test]
fn the_order_is_a_bijection_for_every_small_size() {
    for len in 1..=1100 {
        assert_bijection(u64::from(len), len);
    }
}

#[test]
fn the_order_is_a_bijection_at_full_size_and_around_powers_of_two() {
    for len in [4095, 4096, 4097, 65_535, 65_537, 524_289, 1_048_575, 1_048_576] {
        assert_bijection(0x5EED, len);
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn many_at_once_are_those_that_come_one_by_one(seed in any::<u64>(), len in 1_u32..5_000, start in 0_u32..5_000) {
        for kind in [TaskOrder::Random, TaskOrder::Input] {
            let order = Order::new(kind, seed, len);
            let range = start.min(len)..len;
            let positions = order.positions(range.clone());
            prop_assert_eq!(&positions, &range.clone().map(|index| order.position(Index(index))).collect::<Vec<_>>());
            prop_assert_eq!(order.indices(&positions), range.map(Index).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_is_a_bijection_for_any_seed(seed: u64, len in 1_u32..20_000) {
        assert_bijection(seed, len);
    }

    #[test]
    fn two_seeds_give_two_orders(seed: u64, other: u64) {
        prop_assume!(seed != other);
        let (one, two) = (Order::new(TaskOrder::Random, seed, 64), Order::new(TaskOrder::Random, other, 64));
        prop_assert!((0..64).map(Position).any(|position| one.index(position) != two.index(position)));
    }
}

/// All squares are about equally likely to be first: among 64 squares and 6,400 seeds, each is expected 100 times, within six standard
/// deviations.
#[test]
fn any_square_may_come_first() {
    let mut first = [0_u32; 64];
    for seed in 0..6_400 {
        let Index(index) = Order::new(TaskOrder::Random, seed, 64).index(Position(0));
        first[index as usize] += 1;
    }
    for (index, count) in first.iter().enumerate() {
        assert!((40..=160).contains(count), "square {index} came first {count} times");
    }
}

/// In a random permutation, the next square is rarely adjacent: one step in 32 on average for both neighbors.
#[test]
fn the_order_does_not_go_row_by_row() {
    for seed in 0..100 {
        let order = Order::new(TaskOrder::Random, seed, 4096);
        let neighbors = (1..4096)
            .filter(|position| {
                let (before, here) = (order.index(Position(position - 1)), order.index(Position(*position)));
                before.0.abs_diff(here.0) == 1
            })
            .count();
        assert!(neighbors < 30, "seed {seed} has {neighbors} neighbors in a row");
    }
}

#[test]
fn an_order_as_they_are_read_is_that_of_the_rows() {
    let order = Order::new(TaskOrder::Input, 7, 1_000);
    for place in 0..1_000 {
        assert_eq!((order.index(Position(place)), order.position(Index(place))), (Index(place), Position(place)));
    }
}
