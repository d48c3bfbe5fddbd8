//! Log of the code under test.

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

thread_local! {
    static FOLLOWED: RefCell<Logs> = RefCell::default();
}

/// The log lines of one thread.
///
/// One subscriber serves the whole process and hands each line to its thread's own text. A
/// subscriber a test would lose lines: tracing remembers for each place that logs whether anybody
/// listens, and tests that come and go beside one another race for that answer.
#[derive(Clone, Default)]
pub struct Logs(Arc<Mutex<Vec<u8>>>);

impl Logs {
    /// The lines of this thread from here on.
    pub fn capture() -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_ansi(false)
                .with_target(false)
                .without_time()
                .with_writer(|| FOLLOWED.with_borrow(Self::clone))
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        let logs = Self::default();
        FOLLOWED.set(logs.clone());
        logs
    }

    /// Every line so far.
    pub fn lines(&self) -> Vec<String> {
        let text = self.0.lock().unwrap().clone();
        String::from_utf8(text).unwrap().lines().map(|line| line.trim().to_owned()).collect()
    }
}

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
