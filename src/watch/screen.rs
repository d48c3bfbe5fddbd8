//! The view on a terminal: a thread that draws, and reads the keys.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

use super::{SharedDevices, lock, view};
use crate::capture::stop::Stop;
use crate::gateway::{self, SinkProgress};
use crate::platform::logging;

/// Interval at which the screen is drawn; a key is answered at once.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// Period at which the running gateway is asked for its sinks.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// Content of the screen, and the keys that end the view.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Newest values of the devices.
    pub(crate) devices: SharedDevices,
    /// Configured names of devices.
    pub(crate) names: BTreeMap<u32, String>,
    /// Name of the source, for the title.
    pub(crate) source: String,
    /// True if colours are wanted.
    pub(crate) coloured: bool,
    /// Raised when the user ends the view.
    pub(crate) stop: Stop,
    /// Set once the source has ended.
    pub(crate) ended: Arc<AtomicBool>,
    /// Progress of the sinks of the running gateway; none where no gateway of the configuration runs.
    pub(crate) sinks: Arc<Mutex<Vec<SinkProgress>>>,
}

/// Asks the running gateway for the progress of its sinks until the view ends, if their names are
/// these: another gateway's sinks say nothing about this configuration.
pub(crate) fn follow_sinks(names: &[String], sinks: &Mutex<Vec<SinkProgress>>, stop: &Stop) {
    while !stop.is_raised() {
        let answer = gateway::ask().map(|answer| answer.sinks).unwrap_or_default();
        let ours = answer.iter().map(|sink| &sink.name).eq(names);
        *lock(sinks) = if ours { answer } else { Vec::new() };
        std::thread::sleep(ASK_EVERY);
    }
}

impl Screen {
    /// Draws until the user presses `q`, Escape or Ctrl-C, or the stop is raised elsewhere. Log
    /// lines go to standard error afterwards; the newest warning or error is shown meanwhile.
    pub(crate) fn run(&self) -> io::Result<()> {
        let logs = logging::hold();
        let mut terminal = ratatui::try_init()?;
        let mut scroll = 0;
        let result = loop {
            if self.stop.is_raised() {
                break Ok(());
            }
            if let Err(error) =
                terminal.draw(|frame| self.draw(frame, scroll, logs.newest_problem()))
            {
                break Err(error);
            }
            match next_key() {
                Ok(Some(key)) if ends(key) => break Ok(()),
                Ok(Some(key)) => match key.code {
                    KeyCode::Down | KeyCode::Char('j') => scroll = scroll.saturating_add(1),
                    KeyCode::Up | KeyCode::Char('k') => scroll = scroll.saturating_sub(1),
                    _ => {}
                },
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        };
        self.stop.raise();
        ratatui::restore();
        result
    }

    fn draw(&self, frame: &mut Frame<'_>, scroll: u16, problem: Option<String>) {
        let [body, footer] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
        let block = Block::bordered().title(format!(" {} ", self.source));
        let inside = block.inner(body);
        let lines = self.lines(usize::from(inside.width));
        let last = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(inside.height);
        frame.render_widget(Paragraph::new(lines).block(block).scroll((scroll.min(last), 0)), body);
        self.draw_footer(frame, footer, problem);
    }

    fn lines(&self, width: usize) -> Vec<Line<'static>> {
        let devices = lock(&self.devices);
        let mut lines = Vec::new();
        for (serial, device, flows) in devices.devices() {
            if !lines.is_empty() {
                lines.push(Line::raw(""));
            }
            lines.push(Line::raw(view::name(&self.names, serial).into_owned()).bold());
            let age = devices.arrived.get(&serial).map(std::time::Instant::elapsed);
            lines.extend(view::device(device, flows, age, width, self.coloured));
        }
        if lines.is_empty() {
            lines.push(Line::raw("No device received yet."));
        }
        let sinks = lock(&self.sinks);
        if !sinks.is_empty() {
            lines.extend([Line::raw(""), Line::raw("Sinks of the running gateway").bold()]);
            lines.extend(view::sinks(&sinks));
        }
        lines
    }

    fn draw_footer(&self, frame: &mut Frame<'_>, area: Rect, problem: Option<String>) {
        let text = match problem {
            _ if self.ended.load(Ordering::Relaxed) => "end of the capture   q quits".to_owned(),
            Some(problem) => format!("q quits   {problem}"),
            None => "q quits   ↑↓ scroll".to_owned(),
        };
        frame.render_widget(Paragraph::new(text), area);
    }
}

/// The next key, if one comes before the screen has to be drawn again.
fn next_key() -> io::Result<Option<KeyEvent>> {
    if !event::poll(REDRAW_EVERY)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) if key.kind == KeyEventKind::Press => Some(key),
        _ => None,
    })
}

/// Returns whether a key ends the view. In raw mode Ctrl-C is a key, not a signal.
fn ends(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}
