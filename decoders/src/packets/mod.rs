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

/// Answer of the built-in decoders, confirmed or not, to the records of a kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reader {
    /// The table that reads them, one of their own length before one of any.
    Layout(&'static Layout),
    /// A table of their length would read them, if a rule did not assign them to another device.
    Refused,
    /// No table is for them.
    Missing,
}

impl Reader {
    /// The table that reads them.
    #[must_use]
    pub const fn layout(self) -> Option<&'static Layout> {
        match self {
            Self::Layout(layout) => Some(layout),
            Self::Refused | Self::Missing => None,
        }
    }
}

/// The built-in decoder of the records of a length, type and product class; of any class where none
/// is given.
#[must_use]
pub fn reader(length: u8, record_type: u16, class: Option<u8>) -> Reader {
    let admits = |layout: &&Layout| {
        layout.length.is_none_or(|wanted| wanted == length)
            && layout.rules.admits_type(record_type)
            && class.is_none_or(|class| layout.rules.admits_class(class, None))
    };
    match all().filter(admits).min_by_key(|layout| layout.length.is_none()) {
        Some(layout) => Reader::Layout(layout),
        None if all().any(|layout| {
            layout.length == Some(length) && layout.rules.wants(record_type, class)
        }) =>
        {
            Reader::Refused
        }
        None => Reader::Missing,
    }
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
