//! The built-in decoders, one file each. To add one: write its file, and add its name to the list
//! below.

use crate::layout::Layout;
use crate::metric::Class;
use crate::value::Choice;

macro_rules! packets {
    ($($file:ident)*) => {
        $(mod $file;)*

        /// The tables of each file.
        static TABLES: &[&[Layout]] = &[$($file::LAYOUTS),*];
    };
}

packets! { x1f x20 x22 harvi zappi minute_history x27 x2b x36 x37 x38 x3a eddi status }

/// Every built-in layout, confirmed and experimental.
pub fn all() -> impl Iterator<Item = &'static Layout> {
    TABLES.iter().copied().flatten()
}

/// Returns a word as some built-in enumeration has it: for text that a program reads back.
#[must_use]
pub fn choice(word: &str) -> Option<Choice> {
    let fields = all().flat_map(|layout| layout.fields.iter());
    let mut enumerations = fields.filter_map(|field| match field.metric.class {
        Class::Choice(options) => Some(options),
        _ => None,
    });
    enumerations.find_map(|options| {
        Choice::new(options, options.iter().position(|option| *option == word)?)
    })
}
