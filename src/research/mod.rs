//! The research bench: finding out what nobody has explained yet.
//!
//! Everything here is a function of records and their times, without input or output: the
//! commands feed it frames and print what it found.

pub mod kinds;
mod thinned;

pub use thinned::Thinned;
