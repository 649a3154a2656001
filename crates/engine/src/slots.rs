//! Slots: the number of tasks that a node runs concurrently, counted separately for each class of tasks.

use std::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

/// The resource that a task needs while it runs. Tasks of one class never wait for slots of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotClass {
    /// Almost none: the task waits for a network or a timer.
    Async,
    /// A processor.
    Compute,
    /// A separate process.
    Process,
}

impl SlotClass {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Async, Self::Compute, Self::Process];
}

/// A value for each slot class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BySlotClass<T> {
    /// For [`SlotClass::Async`].
    #[serde(rename = "async")]
    pub async_: T,
    /// For [`SlotClass::Compute`].
    pub compute: T,
    /// For [`SlotClass::Process`].
    pub process: T,
}

impl<T> BySlotClass<T> {
    /// A value for each class.
    pub fn from_fn(mut value: impl FnMut(SlotClass) -> T) -> Self {
        Self { async_: value(SlotClass::Async), compute: value(SlotClass::Compute), process: value(SlotClass::Process) }
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
            SlotClass::Async => &self.async_,
            SlotClass::Compute => &self.compute,
            SlotClass::Process => &self.process,
        }
    }
}

impl<T> IndexMut<SlotClass> for BySlotClass<T> {
    fn index_mut(&mut self, class: SlotClass) -> &mut T {
        match class {
            SlotClass::Async => &mut self.async_,
            SlotClass::Compute => &mut self.compute,
            SlotClass::Process => &mut self.process,
        }
    }
}

/// The number of slots of each class.
pub type Slots = BySlotClass<u32>;

impl Slots {
    /// The same number for each class.
    #[must_use]
    pub fn all(slots: u32) -> Self {
        Self::from_fn(|_| slots)
    }

    /// The total of all classes.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.iter().fold(0, |sum, slots| sum.saturating_add(*slots))
    }
}

/// The maximum number of slots of one class on a node.
pub const MAX_SLOTS: u32 = 65_536;

/// A process of the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, which is the prefix of its workers' names. It is unique among all nodes.
    pub name: Box<str>,
    /// The machine that it runs on.
    pub host: Box<str>,
    /// The number of tasks that it runs concurrently, by class; all 0 if it only serves pages and the API.
    pub slots: Slots,
    /// The version of the program.
    pub version: Box<str>,
}

impl Node {
    /// The name of a worker. Workers are numbered from 1.
    pub(crate) fn worker(&self, number: u32) -> Box<str> {
        format!("{}-{number}", self.name).into()
    }
}
