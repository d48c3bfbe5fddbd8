//! The built-in decoders, one file each. To add one: write its file, and add its name to the list
//! below.

use crate::layout::Layout;
use crate::metric::Class;
use crate::value::Options;

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

/// The words of every built-in enumeration.
pub fn enumerations() -> impl Iterator<Item = Options> {
    all().flat_map(|layout| layout.fields.iter()).filter_map(|field| match field.metric.class {
        Class::Choice(options) => Some(options),
        _ => None,
    })
}
