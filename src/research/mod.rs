//! The research bench: finding out what nobody has explained yet.
//!
//! Everything here is a function of records and their times, without input or output: the
//! commands feed it frames and print what it found.

pub mod anonymous;
pub mod correlate;
pub mod declare;
pub mod kinds;
pub mod metrics;
pub mod moment;
pub mod profile;
pub mod series;
mod thinned;
pub mod verify;
mod view;

pub use thinned::Thinned;
pub use view::{FIRST_OFFSET, View};
