//! Slots: how many tasks a node runs at the same time, counted separately for tasks that need different things.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// What a task needs of its node while it runs. Tasks of one class never wait for a slot of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotClass {
    /// Next to nothing: it waits for a network or a timer.
    Async,
    /// A processor.
    Compute,
    /// A process of its own.
    Process,
}

impl SlotClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::Async, Self::Compute, Self::Process];
}

/// A value for each class of slots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BySlotClass<T> {
    /// For [`SlotClass::Async`].
    #[serde(rename = "async")]
    pub waiting: T,
    /// For [`SlotClass::Compute`].
    pub compute: T,
    /// For [`SlotClass::Process`].
    pub process: T,
}

impl<T> BySlotClass<T> {
    /// A value for each class.
    pub fn from_fn(mut value: impl FnMut(SlotClass) -> T) -> Self {
        Self {
            waiting: value(SlotClass::Async),
            compute: value(SlotClass::Compute),
            process: value(SlotClass::Process),
        }
    }

    /// The values, in the order of [`SlotClass::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        SlotClass::ALL.into_iter().map(|class| &self[class])
    }
}

impl<T> Index<SlotClass> for BySlotClass<T> {
    type Output = T;

    fn index(&self, class: SlotClass) -> &T {
        match class {
            SlotClass::Async => &self.waiting,
            SlotClass::Compute => &self.compute,
            SlotClass::Process => &self.process,
        }
    }
}

impl<T> IndexMut<SlotClass> for BySlotClass<T> {
    fn index_mut(&mut self, class: SlotClass) -> &mut T {
        match class {
            SlotClass::Async => &mut self.waiting,
            SlotClass::Compute => &mut self.compute,
            SlotClass::Process => &mut self.process,
        }
    }
}

/// How many slots a node has of each class.
pub type Slots = BySlotClass<u32>;

impl Slots {
    /// The same number of each class.
    #[must_use]
    pub fn all(slots: u32) -> Self {
        Self::from_fn(|_| slots)
    }

    /// Of all classes together.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.iter().fold(0, |sum, slots| sum.saturating_add(*slots))
    }
}

/// The most slots of one class that a node may have.
pub const MAX_SLOTS: u32 = 65_536;

/// A process that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, with which the names of its workers begin. No two nodes have the same one.
    pub name: Box<str>,
    /// The machine that it runs on.
    pub host: Box<str>,
    /// How many tasks it runs at the same time; none if it only serves.
    pub slots: Slots,
    /// The version of the program.
    pub version: Box<str>,
}

impl Node {
    /// The name of one of its workers, which are numbered from 1.
    pub(crate) fn worker(&self, number: u32) -> Box<str> {
        format!("{}-{number}", self.name).into()
    }
}
