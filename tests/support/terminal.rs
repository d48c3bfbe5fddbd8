//! A terminal for a program to write to.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// A terminal without a screen.
pub struct Terminal {
    screen: File,
    keyboard: File,
    seen: Vec<u8>,
}

impl Terminal {
    pub fn new() -> Self {
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let path = Path::new(name.to_str().unwrap());
        let keyboard = File::options().read(true).write(true).open(path).unwrap();
        Self { screen: screen.into(), keyboard, seen: Vec::new() }
    }

    /// A terminal of so many columns.
    pub fn of_width(columns: u16) -> Self {
        let terminal = Self::new();
        let size = Winsize { ws_row: 60, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal.screen, size).unwrap();
        terminal
    }

    /// The terminal as a program's output. Its `Command` keeps a handle, too.
    pub fn output(&self) -> Stdio {
        self.keyboard.as_fd().try_clone_to_owned().unwrap().into()
    }

    /// What a person types.
    pub fn types(&mut self, text: &str) {
        self.screen.write_all(text.as_bytes()).unwrap();
    }

    /// Waits for what is written next, and gives everything so far; `None` once nobody has the
    /// terminal open any more.
    pub fn watch(&mut self) -> Option<String> {
        let mut bytes = [0; 4096];
        // The end of a terminal is an error to its reader.
        let count = self.screen.read(&mut bytes).ok().filter(|count| *count > 0)?;
        self.seen.extend(bytes.get(..count)?);
        Some(String::from_utf8_lossy(&self.seen).into_owned())
    }

    /// Everything that was written, once nobody else has the terminal open any more.
    pub fn text(self) -> String {
        let Self { mut screen, keyboard, mut seen } = self;
        drop(keyboard);
        // The end of a terminal is an error to its reader.
        let _ = screen.read_to_end(&mut seen);
        String::from_utf8(seen).unwrap().replace("\r\n", "\n")
    }
}
