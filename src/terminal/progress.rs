//! Progress on a terminal: a bar if the end is known, otherwise a line of text.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use indicatif::{ProgressBar, ProgressStyle};

/// The one bar of the process: logs have to know of it to write around it.
static BAR: OnceLock<ProgressBar> = OnceLock::new();

/// Progress bar of a replay on standard error.
pub(crate) struct Bar {
    position: Box<dyn Fn() -> u64 + Send>,
    bar: &'static ProgressBar,
}

impl Bar {
    /// The bar of a replay of `total` bytes that is at `position`; `None` where there is nothing to
    /// show it on: standard error is no terminal, or readings scroll over the same terminal.
    #[must_use]
    pub(crate) fn new(
        total: u64,
        position: impl Fn() -> u64 + Send + 'static,
        readings: Readings,
    ) -> Option<Self> {
        let scrolls = readings == Readings::OnStdout && io::stdout().is_terminal();
        if scrolls || !io::stderr().is_terminal() {
            return None;
        }
        let bar = BAR.get_or_init(|| {
            let style = ProgressStyle::with_template(
                "{bar:40} {percent:>3} %  {bytes} of {total_bytes}, {eta} to go",
            );
            let bar = ProgressBar::new(total);
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        Some(Self { position: Box::new(position), bar })
    }

    /// Shows where the replay is now.
    pub(crate) fn update(&self) {
        self.bar.set_position((self.position)());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line on standard error that says how things stand.
#[derive(Debug)]
pub(crate) struct StatusLine(&'static ProgressBar);

impl StatusLine {
    /// The line; `None` where standard error is no terminal.
    #[must_use]
    pub(crate) fn new() -> Option<Self> {
        if !io::stderr().is_terminal() {
            return None;
        }
        Some(Self(BAR.get_or_init(|| {
            let style = ProgressStyle::with_template("{wide_msg}");
            let line = ProgressBar::new_spinner();
            line.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            line
        })))
    }

    /// Replaces its words.
    pub(crate) fn show(&self, words: String) {
        self.0.set_message(words);
    }
}

impl Drop for StatusLine {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Destination of readings, as far as a progress bar minds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readings {
    /// To standard output, among others.
    OnStdout,
    /// Elsewhere.
    Elsewhere,
}

/// Runs an action while the bar, if there is one, is out of the way.
pub(crate) fn suspended<R>(action: impl FnOnce() -> R) -> R {
    match BAR.get() {
        Some(bar) => bar.suspend(action),
        None => action(),
    }
}
