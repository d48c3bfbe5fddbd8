//! A YAML document that is read section by section and gathers everything wrong with it.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, IgnoredAny};

use energi_sinks::settings::Problem;

use super::checked::Checked;
use super::env::Environment;
use super::error::Fault;
use super::place::{Descend, Part, Place, Step, locate};
use super::reading::{Amends, Reading};
use super::wrong::{MERGE_KEY, Wrong, nearest};

/// Nobody mends more at a time, and each costs a walk through the text.
const MOST_FAULTS: usize = 50;

/// The keys of a mapping, whatever they hold.
type Keys = BTreeMap<String, Option<IgnoredAny>>;

/// A document and what is wrong with it so far.
pub(super) struct Document<'a> {
    text: &'a str,
    environment: Environment<'a>,
    faults: Vec<(Place, Fault)>,
    left_out: Vec<Place>,
}

impl<'a> Document<'a> {
    pub(super) fn new(text: &'a str, environment: Environment<'a>) -> Self {
        Self { text, environment, faults: Vec::new(), left_out: Vec::new() }
    }

    /// Reads the section at `place`. The keys in `hidden` are left to another reading of the same
    /// section.
    ///
    /// Whatever is wrong in it is noted and left out, and the rest read again, until it can be
    /// read; `None` where it is wrong as a whole.
    pub(super) fn read<S>(&mut self, place: &Place, hidden: &[&str], seed: S) -> Option<S::Value>
    where
        S: DeserializeSeed<'a> + Copy,
    {
        let mut amends = Amends::default();
        let mut found = None;
        while self.faults.len() < MOST_FAULTS {
            let reading = Reading::new(self.environment, place, hidden, &amends);
            let seed = Checked { inner: seed, reading: &reading };
            let document = serde_yaml::Deserializer::from_str(self.text);
            let descend = Descend { steps: &place.0, part: Part::Value, seed };
            let spoilt: Vec<Place> = match descend.deserialize(document) {
                Ok(value) if amends.supplied.is_empty() => {
                    found = value;
                    break;
                }
                // What has something made up in it is left out too.
                Ok(_) => amends.take_spoilt(),
                Err(error) => {
                    let (wrong_place, part, wrong) = reading.into_wrong(&error);
                    self.amend(&mut amends, hidden, place, wrong_place, part, &wrong)
                }
            };
            if spoilt.iter().any(|spoilt| spoilt == place || amends.skipped.contains(spoilt)) {
                break;
            }
            amends.skipped.extend(spoilt);
        }
        self.left_out.extend(amends.skipped);
        found
    }

    /// Notes what is wrong, unless it only follows from what is known. What must be left out is
    /// returned.
    fn amend(
        &mut self,
        amends: &mut Amends,
        own: &[&str],
        section: &Place,
        place: Place,
        part: Part,
        wrong: &Wrong,
    ) -> Vec<Place> {
        if amends.supplied.contains(&place) {
            let parent = place.parent();
            amends.supplied.retain(|missing| missing.parent() != parent);
            return vec![parent];
        }
        if let Wrong::MissingKey(key) = wrong {
            let missing = place.key(key);
            let excused = [&missing, &place.key(MERGE_KEY)];
            if !excused.iter().any(|place| amends.skipped.contains(place)) {
                self.note(place, part, say(wrong, &missing, &[]));
            }
            // Each round must mend something, or the rounds would not end.
            if amends.supplied.contains(&missing) {
                return vec![missing.parent()];
            }
            amends.supplied.push(missing);
            return Vec::new();
        }
        let own = if place.parent() == *section { own } else { &[] };
        self.note(place.clone(), part, say(wrong, &place, own));
        vec![place]
    }

    /// Notes what is wrong with values that read well in themselves.
    pub(super) fn refuse(&mut self, section: &Place, problems: Vec<Problem>) {
        for Problem { key, problem } in problems {
            let place = self.in_text(section.below(&key));
            // Where the value was left out, the problem is but with what stood in for it.
            if !self.is_wrong(&place) {
                self.note(place, Part::Value, problem);
            }
        }
    }

    /// Notes the keys of a section that are not among the `known` ones. Returns whether one of them
    /// seems to be meant for `wanted`.
    pub(super) fn refuse_unknown(&mut self, section: &Place, known: &[&str], wanted: &str) -> bool {
        let keys = self.read(section, &[], PhantomData::<Keys>);
        let mut is_meant = false;
        for name in keys.unwrap_or_default().into_keys() {
            if !known.contains(&name.as_str()) {
                let nearest = nearest(&name, known.iter().copied());
                is_meant |= nearest == Some(wanted);
                self.note(section.key(&name), Part::Key, unknown(&name, nearest));
            }
        }
        is_meant
    }

    /// The place of a value in the text, given its place among the values that were not left out.
    fn in_text(&self, place: Place) -> Place {
        let mut steps = Vec::with_capacity(place.0.len());
        for step in place.0 {
            let Step::Index(mut index) = step else {
                steps.push(step);
                continue;
            };
            let list = Place(steps);
            for text_index in 0.. {
                if text_index > index {
                    break;
                }
                if self.left_out.contains(&list.index(text_index)) {
                    index += 1;
                }
            }
            steps = list.index(index).0;
        }
        Place(steps)
    }

    /// Whether something wrong was found at `place` or within it.
    pub(super) fn is_wrong(&self, place: &Place) -> bool {
        self.faults.iter().any(|(wrong, _)| wrong.is_within(place))
    }

    /// Whether it is known why nothing stands at `place`: it was found wrong, or a merge key may
    /// have been meant to bring it.
    pub(super) fn is_excused(&self, place: &Place) -> bool {
        self.is_wrong(place) || self.is_wrong(&place.parent().key(MERGE_KEY))
    }

    /// Everything that is wrong, in the order of the text.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults: Vec<Fault> = self.faults.into_iter().map(|(_, fault)| fault).collect();
        faults.sort_by_key(|fault| fault.position);
        faults
    }

    fn note(&mut self, place: Place, part: Part, message: String) {
        let fault =
            Fault { position: self.position(&place, part), path: place.to_string(), message };
        if !self.faults.iter().any(|(_, known)| *known == fault) {
            self.faults.push((place, fault));
        }
    }

    /// Where a place is, or would be: the nearest enclosing one that the text has.
    fn position(&self, place: &Place, part: Part) -> Option<(usize, usize)> {
        let mut place = place.clone();
        let mut position = locate(self.text, &place, part);
        while position.is_none() && place.0.pop().is_some() {
            position = locate(self.text, &place, Part::Value);
        }
        position
    }
}

fn say(wrong: &Wrong, place: &Place, hidden: &[&str]) -> String {
    let (Wrong::UnknownKey(known), Some(Step::Key { name, .. })) = (wrong, place.0.last()) else {
        return wrong.to_string();
    };
    unknown(name, nearest(name, known.iter().chain(hidden).copied()))
}

fn unknown(name: &str, nearest: Option<&str>) -> String {
    match nearest {
        Some(nearest) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
        None => format!("unknown key `{name}`; there are no keys here"),
    }
}
