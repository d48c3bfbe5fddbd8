//! The built-in decoders, one file each. To add one: write its file, and add it to both lists
//! below.

mod x1f;
mod x20;
mod x22;
mod x27;
mod x2b;
mod x36;
mod x37;
mod x38;
mod x3a;

use crate::layout::Layout;
use crate::metric::Class;
use crate::value::Options;

/// Every built-in layout, confirmed and experimental.
pub static ALL: &[&Layout] = &[
    &x1f::LAYOUT,
    &x20::LAYOUT,
    &x22::LAYOUT,
    &x27::LAYOUT,
    &x2b::LAYOUT,
    &x36::LAYOUT,
    &x37::LAYOUT,
    &x38::LAYOUT,
    &x3a::LAYOUT,
];

/// The words of every built-in enumeration.
pub fn enumerations() -> impl Iterator<Item = Options> {
    ALL.iter().flat_map(|layout| layout.fields.iter()).filter_map(|field| {
        match field.metric.class {
            Class::Choice(options) => Some(options),
            _ => None,
        }
    })
}
