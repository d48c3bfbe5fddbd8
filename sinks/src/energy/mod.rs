//! Energy from powers and by period: pure functions that the history, the reports and live outputs
//! share. Nothing here reads a clock, a file or a channel.

mod flow;
mod today;

pub use flow::{Flows, HOLD, held, milliwatt_hours};
#[cfg(feature = "sqlite")]
pub(crate) use today::midnights;
pub use today::{FlowKwh, TodaysFlows};
