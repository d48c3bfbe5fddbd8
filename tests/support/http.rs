//! The smallest HTTP client that servers of tests understand: one request a connection.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Answer of a server.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }
}

/// Asks the server at a port of the loopback address.
pub fn get(port: u16, target: &str) -> io::Result<Answer> {
    ask(port, "GET", target, b"")
}

/// Sends a body to the server at a port of the loopback address.
pub fn post(port: u16, target: &str, body: &[u8]) -> io::Result<Answer> {
    ask(port, "POST", target, body)
}

fn ask(port: u16, method: &str, target: &str, body: &[u8]) -> io::Result<Answer> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_mins(1)))?;
    // By HTTP/1.0 an answer is never cut into chunks, and ends with its connection.
    write!(
        stream,
        "{method} {target} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let malformed = || io::Error::new(ErrorKind::InvalidData, "no answer of HTTP");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(malformed)?;
    let body = answer.split_off(head + 4);
    let head = String::from_utf8_lossy(&answer);
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok(Answer { status: status.ok_or_else(malformed)?, body })
}

/// `name=value`, fit for a URL.
pub fn parameter(name: &str, value: &str) -> String {
    let mut text = format!("{name}=");
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                text.push(byte.into());
            }
            other => text.extend(['%', digit(other >> 4), digit(other & 0xF)]),
        }
    }
    text
}

fn digit(half: u8) -> char {
    char::from_digit(half.into(), 16).unwrap()
}
