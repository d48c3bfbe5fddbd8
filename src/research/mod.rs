//! The research bench: finding out what nobody has explained yet.
//!
//! Everything here is a function of records and their times, without input or output: the
//! commands feed it frames and print what it found.

pub mod anonymous;
pub mod correlate;
pub mod declare;
mod downsample;
pub mod exact;
pub mod metrics;
pub mod moment;
pub mod outside;
pub mod profile;
pub mod record_types;
pub mod series;
pub mod states;
pub mod verify;
mod view;

pub use downsample::Downsampled;
pub use view::View;
