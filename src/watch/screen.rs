//! The view on a terminal: a thread that draws, and reads the keys.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Stylize;
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph};

use super::{SharedDevices, lock, view};
use crate::capture::stop::Stop;
use crate::platform::logging;

/// How often the screen is drawn; a key is answered at once.
const REDRAW_EVERY: Duration = Duration::from_millis(250);

/// What the screen shows, and how the user ends the view.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Newest values of the devices.
    pub(crate) devices: SharedDevices,
    /// Configured names of devices.
    pub(crate) names: BTreeMap<u32, String>,
    /// What is watched, for the title.
    pub(crate) source: String,
    /// Whether colours are wanted.
    pub(crate) coloured: bool,
    /// Raised when the user ends the view.
    pub(crate) stop: Stop,
    /// Set once the source has ended.
    pub(crate) ended: Arc<AtomicBool>,
}

impl Screen {
    /// Draws until the user presses `q`, Escape or Ctrl-C, or the stop is raised elsewhere. Log
    /// lines wait below the devices meanwhile, and go to standard error afterwards.
    pub(crate) fn run(&self) -> io::Result<()> {
        let logs = logging::hold();
        let mut terminal = ratatui::try_init()?;
        let mut scroll = 0;
        let result = loop {
            if self.stop.is_raised() {
                break Ok(());
            }
            if let Err(error) = terminal.draw(|frame| self.draw(frame, scroll, logs.newest())) {
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

    fn draw(&self, frame: &mut Frame<'_>, scroll: u16, log: Option<String>) {
        let [body, footer] =
            Layout::vertical([Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
        let block = Block::bordered().title(format!(" {} ", self.source));
        let inside = block.inner(body);
        let lines = self.lines(usize::from(inside.width));
        let last = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(inside.height);
        frame.render_widget(Paragraph::new(lines).block(block).scroll((scroll.min(last), 0)), body);
        self.draw_footer(frame, footer, log);
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
        lines
    }

    fn draw_footer(&self, frame: &mut Frame<'_>, area: Rect, log: Option<String>) {
        let text = match log {
            _ if self.ended.load(Ordering::Relaxed) => "end of the capture   q quits".to_owned(),
            Some(log) => format!("q quits   {log}"),
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

/// Whether a key ends the view. In raw mode Ctrl-C is a key, not a signal.
fn ends(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
        || key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL)
}
