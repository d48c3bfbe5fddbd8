//! A terminal for a program to write to.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::Stdio;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

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

    /// The terminal as a program's output. Its `Command` keeps a handle, too.
    pub fn output(&self) -> Stdio {
        self.keyboard.as_fd().try_clone_to_owned().unwrap().into()
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
