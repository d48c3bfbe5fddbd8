//! Runtime of the commands that wait.

use tokio::runtime::{Builder, Runtime};

use super::exit::{Exit, Failure};

/// Creates a runtime. One thread is enough for tasks that mostly wait; capture and SQLite have their
/// own.
pub(crate) fn create() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Io, error))
}
