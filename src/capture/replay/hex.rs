//! Hex text: a payload or a frame a line, or a dump with offsets over several lines. Without times.

use energi_decoders::frame::MAGIC;

use super::fault::CaptureFault;
use super::window::Window;
use crate::capture::Link;

/// The longest line: a jumbo frame with a separator after each byte.
const MAX_LINE: usize = 64 * 1024;

/// The largest frame that a dump of several lines may hold.
const MAX_DUMP: usize = 64 * 1024;

/// Bytes in a line of a dump, at most: other programs write 16.
const MAX_DUMP_LINE: usize = 32;

/// A text of hex digits.
#[derive(Debug, Default)]
pub(super) struct Hex {
    /// The packet that was read last.
    bytes: Vec<u8>,
    lines: u64,
    packets: u64,
    /// The first line that is not hex, and how many there are.
    wrong: Option<(u64, u64)>,
}

impl Hex {
    /// Returns whether an input that begins so can be text: no capture format begins with printable
    /// characters.
    pub(super) fn begins(start: [u8; 4]) -> bool {
        start.iter().all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace())
    }

    /// Reads the next packet, and returns what of the window it still takes. A line that is not hex
    /// costs no other one: it is reported at the end.
    pub(super) fn next(&mut self, window: &mut Window) -> Result<Option<usize>, CaptureFault> {
        while let Some(size) = line(window)? {
            self.lines += 1;
            let text = window.bytes().get(..size).unwrap_or_default();
            let text = str::from_utf8(text).ok();
            if let Some(dump) = text.and_then(dump_line) {
                if dump.offset == 0 {
                    self.bytes = dump.bytes;
                    window.consume(size);
                    self.rest_of_dump(window)?;
                    self.packets += 1;
                    return Ok(Some(0));
                }
                self.wrong();
            } else {
                match text.and_then(|text| parse(text, &mut self.bytes)) {
                    Some([]) => {}
                    Some(_) => {
                        self.packets += 1;
                        return Ok(Some(size));
                    }
                    None => self.wrong(),
                }
            }
            window.consume(size);
        }
        match self.wrong {
            None => Ok(None),
            Some(_) if self.packets == 0 => Err(CaptureFault::Unknown),
            Some((first, count)) => Err(CaptureFault::Damaged(format!(
                "lines that are not hex, or whose offset does not follow: {count}, the first of \
                 them line {first}; write a payload or a frame a line, two digits a byte, or a dump \
                 with offsets from 0 on, as of `xxd` or Wireshark"
            ))),
        }
    }

    /// Adds the lines that continue a dump.
    fn rest_of_dump(&mut self, window: &mut Window) -> Result<(), CaptureFault> {
        while let Some(size) = line(window)? {
            let text = window.bytes().get(..size).unwrap_or_default();
            let next = str::from_utf8(text).ok().and_then(dump_line);
            let Some(next) = next.filter(|next| next.offset == self.bytes.len() && next.offset > 0)
            else {
                break;
            };
            self.lines += 1;
            self.bytes.extend_from_slice(&next.bytes);
            window.consume(size);
            if self.bytes.len() > MAX_DUMP {
                return Err(CaptureFault::Damaged(format!("a dump of more than {MAX_DUMP} bytes")));
            }
        }
        Ok(())
    }

    fn wrong(&mut self) {
        let (first, count) = self.wrong.unwrap_or((self.lines, 0));
        self.wrong = Some((first, count + 1));
    }

    /// The packet that was read last.
    pub(super) fn packet(&self) -> (Link, &[u8]) {
        let payload = self.bytes.starts_with(&MAGIC);
        (if payload { Link::Payload } else { Link::Ethernet }, &self.bytes)
    }
}

/// A line of a dump.
#[derive(Debug, PartialEq, Eq)]
struct DumpLine {
    offset: usize,
    bytes: Vec<u8>,
}

/// Reads a line that begins with an offset, as xxd, hexdump -C, tcpdump -x and Wireshark write it,
/// with or without the characters behind the bytes. `None` for any other line.
fn dump_line(line: &str) -> Option<DumpLine> {
    let line = line.trim();
    let (offset, rest) = line.split_once([' ', '\t'])?;
    let marked = offset.ends_with(':') || offset.starts_with("0x");
    let digits = offset.strip_prefix("0x").unwrap_or(offset).trim_end_matches(':');
    if !(4..=8).contains(&digits.len()) || digits.len() == 7 {
        return None;
    }
    let offset = usize::from_str_radix(digits, 16).ok()?;
    let wide_gap = rest.starts_with([' ', '\t']);
    let pairs = || rest.split_whitespace().all(|group| group.len() == 2);
    // A frame in groups of four digits begins like an offset.
    if !(marked || wide_gap || pairs()) {
        return None;
    }
    let mut bytes = Vec::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let (group, after) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let even = group.len().is_multiple_of(2) && group.is_ascii();
        let values = (0..group.len() / 2).map(|at| {
            group.get(2 * at..2 * at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok())
        });
        let Some(values) = even.then_some(values).and_then(Iterator::collect::<Option<Vec<_>>>)
        else {
            break;
        };
        if bytes.len() + values.len() > MAX_DUMP_LINE {
            break;
        }
        bytes.extend(values);
        // Characters follow a wide gap; one after eight bytes is for the eye.
        let gap = after.len() - after.trim_start().len();
        if gap > 1 || gap == 1 && bytes.len() != 8 {
            break;
        }
        rest = after.trim_start();
        if bytes.len() == 16 {
            break;
        }
    }
    (!bytes.is_empty()).then_some(DumpLine { offset, bytes })
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
    fn only_whole_bytes_are_a_packet() {
        assert_eq!(parse("  # a comment", &mut Vec::new()), Some(&[][..]));
        assert_eq!(parse("", &mut Vec::new()), Some(&[][..]));
        assert_eq!(parse("cbd", &mut Vec::new()), None);
        assert_eq!(parse("hello", &mut Vec::new()), None);
    }

    #[test]
    fn dumps_of_other_programs_are_read() {
        let bytes: Vec<u8> = (0x60..0x70).collect();
        for line in [
            "00000010: 6061 6263 6465 6667 6869 6a6b 6c6d 6e6f  `abcdefghijklmno",
            "00000010  60 61 62 63 64 65 66 67  68 69 6a 6b 6c 6d 6e 6f  |`abcdefghijklmno|",
            "\t0x0010:  6061 6263 6465 6667 6869 6a6b 6c6d 6e6f",
            "0010   60 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f   `abcdefghijklmno",
            "000010 60 61 62 63 64 65 66 67 68 69 6a 6b 6c 6d 6e 6f",
        ] {
            let expected = DumpLine { offset: 16, bytes: bytes.clone() };
            assert_eq!(dump_line(line), Some(expected), "{line}");
        }
        let short = dump_line("00000020: cbda e9f8 01                             ab de");
        assert_eq!(short.unwrap().bytes, [0xcb, 0xda, 0xe9, 0xf8, 1]);
        for line in ["71b3 d53a 6f00", "cbdae9f801", "0000 5e00 5301", "cb da e9 f8", ""] {
            assert_eq!(dump_line(line), None, "{line}");
        }
    }
}
