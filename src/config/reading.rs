//! One reading of one section: where it is, and what went wrong.

use std::cell::{Cell, RefCell};

use serde::de;

use super::env::Environment;
use super::place::{Part, Place, Step};
use super::wrong::Wrong;

/// What is done about faults that are known, so that the next one is found.
#[derive(Debug, Default)]
pub(super) struct Amends {
    /// Places to leave out.
    pub(super) skipped: Vec<Place>,
    /// Missing keys, for which something is made up.
    pub(super) supplied: Vec<Place>,
}

impl Amends {
    /// The mappings that have something made up in them, each once.
    pub(super) fn take_spoilt(&mut self) -> Vec<Place> {
        let mut spoilt: Vec<Place> = self.supplied.drain(..).map(|key| key.parent()).collect();
        spoilt.dedup();
        spoilt
    }
}

/// One reading of one section.
pub(super) struct Reading<'a> {
    pub(super) environment: Environment<'a>,
    amends: &'a Amends,
    /// Keys of the section itself that somebody else reads.
    hidden: &'a [&'a str],
    section: &'a Place,
    /// Where the reading is. It stays where a fault is found.
    here: RefCell<Place>,
    pub(super) part: Cell<Part>,
    wrong: RefCell<Option<Wrong>>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        environment: Environment<'a>,
        section: &'a Place,
        hidden: &'a [&'a str],
        amends: &'a Amends,
    ) -> Self {
        Self {
            environment,
            amends,
            hidden,
            section,
            here: RefCell::new(section.clone()),
            part: Cell::new(Part::Value),
            wrong: RefCell::new(None),
        }
    }

    /// What went wrong and where, once `serde_yaml` has returned an error.
    pub(super) fn into_wrong(self, error: &serde_yaml::Error) -> (Place, Part, Wrong) {
        let wrong = self.wrong.into_inner().unwrap_or_else(|| Wrong::Value(error.to_string()));
        (self.here.into_inner(), self.part.get(), wrong)
    }

    pub(super) fn enter(&self, step: Step) {
        self.here.borrow_mut().0.push(step);
    }

    pub(super) fn leave(&self) {
        self.here.borrow_mut().0.pop();
    }

    pub(super) fn is_skipped(&self) -> bool {
        self.amends.skipped.contains(&self.here.borrow())
    }

    /// Enters the next missing key of this mapping, given those made up by now.
    pub(super) fn enter_supplied(&self, made_up: &[String]) -> Option<String> {
        let here = self.here.borrow().clone();
        let name = self.amends.supplied.iter().find_map(|place| match place.0.last() {
            Some(Step::Key { name, .. }) if place.parent() == here && !made_up.contains(name) => {
                Some(name.clone())
            }
            _ => None,
        })?;
        self.enter(Step::Key { name: name.clone(), nth: 0 });
        Some(name)
    }

    /// Whether the entry just entered is one of the section's own that somebody else reads.
    pub(super) fn is_hidden(&self, name: &str) -> bool {
        self.here.borrow().0.len() == self.section.0.len() + 1 && self.hidden.contains(&name)
    }

    /// Hands an error through `serde_yaml`, which has a type of its own for them.
    pub(super) fn raise<E: de::Error>(&self, wrong: Wrong) -> E {
        let error = E::custom(&wrong);
        self.wrong.borrow_mut().get_or_insert(wrong);
        error
    }

    /// The error that was handed through; `serde_yaml`'s own ones all mean a value of another kind.
    pub(super) fn take(&self, expected: &str) -> Wrong {
        let otherwise = || Wrong::Value(format!("expected {expected}"));
        self.wrong.borrow_mut().take().unwrap_or_else(otherwise)
    }
}
