//! Hex text: a payload or a frame a line, without times.

use energi_decoders::frame::MAGIC;

use super::fault::CaptureFault;
use super::window::Window;
use crate::capture::Link;

/// The longest line: a jumbo frame with a separator after each byte.
const MAX_LINE: usize = 64 * 1024;

/// A text of hex digits.
#[derive(Debug, Default)]
pub(super) struct Hex {
    /// The packet of the line read last.
    bytes: Vec<u8>,
    lines: u64,
    packets: u64,
    /// The first line that is not hex, and how many there are.
    wrong: Option<(u64, u64)>,
}

impl Hex {
    /// Whether an input that begins so can be text: no capture format begins with printable
    /// characters.
    pub(super) fn begins(start: [u8; 4]) -> bool {
        start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
    }

    /// Reads the next line that holds a packet, and returns its size in the window. A line that is
    /// not hex costs no other one: it is told at the end.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Option<usize>, CaptureFault> {
        while let Some(size) = line(window)? {
            self.lines += 1;
            let text = window.bytes().get(..size).unwrap_or_default();
            let text = str::from_utf8(text).ok();
            match text.and_then(|text| parse(text, &mut self.bytes)) {
                Some([]) => {}
                Some(_) => {
                    self.packets += 1;
                    return Ok(Some(size));
                }
                None => {
                    let (first, count) = self.wrong.unwrap_or((self.lines, 0));
                    self.wrong = Some((first, count + 1));
                }
            }
            window.consume(size);
        }
        match self.wrong {
            None => Ok(None),
            Some(_) if self.packets == 0 => Err(CaptureFault::Unknown),
            Some((first, count)) => Err(CaptureFault::Damaged(format!(
                "lines that are not hex: {count}, the first of them line {first}; write a payload \
                 or a frame a line, two digits a byte"
            ))),
        }
    }

    /// The packet of the line read last.
    pub(super) fn packet(&self) -> (Link, &[u8]) {
        let payload = self.bytes.starts_with(&MAGIC);
        (if payload { Link::Payload } else { Link::Ethernet }, &self.bytes)
    }
}

/// The size of the next line, its end included; `None` at the end of the text. Whether a line is too
/// long depends on the line alone, not on how much of the input has come.
fn line(window: &mut Window) -> Result<Option<usize>, CaptureFault> {
    let mut looked = 0;
    loop {
        let come = window.bytes();
        let bytes = &come[..come.len().min(MAX_LINE + 1)];
        if let Some(end) = bytes[looked..].iter().position(|byte| *byte == b'\n') {
            return Ok(Some(looked + end + 1));
        }
        looked = bytes.len();
        if looked > MAX_LINE {
            return Err(CaptureFault::Damaged(format!(
                "a line of more than {MAX_LINE} characters"
            )));
        }
        if !window.ensure(looked + 1)? {
            return Ok((looked > 0).then_some(looked));
        }
    }
}

/// Reads pairs of digits into `bytes`; a `0x` before them, spaces, `:` or `-` between them and a
/// comment after `#` are allowed. `None` for anything else.
fn parse<'a>(line: &str, bytes: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    bytes.clear();
    let text = line.split('#').next().unwrap_or_default().trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let mut digits = text.chars().filter(|c| !matches!(c, ' ' | '\t' | ':' | '-'));
    while let Some(high) = digits.next() {
        let (high, low) = (high.to_digit(16)?, digits.next()?.to_digit(16)?);
        bytes.push(u8::try_from(high << 4 | low).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_may_be_written_in_any_usual_way() {
        let payload: &[u8] = &[0xcb, 0xda, 0xe9, 0xf8, 0x01];
        for text in
            ["cbdae9f801", "0xCBDAE9F801\r\n", " CB DA E9 F8 01 # at noon", "cb:da:e9:f8-01\n"]
        {
            assert_eq!(parse(text, &mut Vec::new()), Some(payload), "{text}");
        }
    }

    #[test]
    fn blank_lines_and_comments_are_nothing_and_half_a_byte_is_wrong() {
        assert_eq!(parse("  # a comment", &mut Vec::new()), Some(&[][..]));
        assert_eq!(parse("", &mut Vec::new()), Some(&[][..]));
        assert_eq!(parse("cbd", &mut Vec::new()), None);
        assert_eq!(parse("hello", &mut Vec::new()), None);
    }
}
