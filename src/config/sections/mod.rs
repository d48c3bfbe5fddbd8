//! The sections of the configuration.

mod capture;
mod decoders;
mod devices;
mod zone;

pub use capture::{Capture, Live, Remote, Replay, SimulatedDevices, Simulator, Start};
pub use decoders::Decoders;
pub use devices::{Device, Devices};
pub(in crate::config) use zone::Zone;
