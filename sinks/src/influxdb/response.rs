//! Meaning of a server's response for the points of the request.

use std::fmt::Display;

use influxdb2::RequestError;
use reqwest::StatusCode;

use crate::runner::{Receipt, SendError};

/// More of what a server says is not kept.
const LONGEST_WORDS: usize = 300;

/// Parts of a request that messages on its response name, or depend on.
#[derive(Debug, Clone)]
pub(super) struct RequestKind {
    /// The server's address, and the proxy on the way to it.
    pub(super) server: String,
    pub(super) credentials: CredentialKind,
    /// True if the points were compressed.
    pub(super) gzip: bool,
}

/// Kind of credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CredentialKind {
    None,
    Token,
    Basic,
}

/// Result of a request. The default confirms all points.
type SendResult = Result<Receipt, SendError>;

impl RequestKind {
    /// Reads the client's error on so many points.
    ///
    /// # Errors
    /// [`SendError`] where the server has none of the points.
    pub(super) fn result(&self, error: RequestError, points: usize) -> SendResult {
        match error {
            RequestError::Http { status, text } => self.response(status, &text, points),
            RequestError::ReqwestProcessing { source } => self.unavailable(broken(source)),
            other => self.unavailable(other),
        }
    }

    fn response(&self, status: StatusCode, text: &str, points: usize) -> SendResult {
        let whole = words(text);
        let words = shortened(&whole);
        let said = format!("{}: {words}", status.as_u16());
        let partial =
            |said| Ok(Receipt { rejected: dropped(&whole).unwrap_or(points), reason: said });
        let rejected = |why: String| self.rejected(format_args!("{why} ({said})"));
        let unavailable = |why| self.unavailable(format_args!("{why} ({said})"));
        match status.as_u16() {
            200..300 if text.trim_start().starts_with('<') => self.rejected(format_args!(
                "an HTML page instead of an answer to points ({said}); is another program at this \
                 `url`, such as a login page?"
            )),
            // The crate takes 204 alone for a success.
            200..300 => Ok(Receipt::default()),
            // InfluxDB 1 says so of what 2 calls 422.
            400 if whole.contains("partial write") && whole.contains("dropped=") => partial(said),
            400 if self.gzip && is_about_bytes(&whole) => Err(SendError::Invalid(format!(
                "{said}; if the server accepts no compressed points, set `gzip: false`"
            ))),
            400 => Err(SendError::Invalid(said)),
            401 => rejected(self.credentials.refused().to_owned()),
            403 => {
                rejected(format!("{} may not write to this `bucket`", self.credentials.holder()))
            }
            404 if words.contains("organization") => rejected("there is no such `org`".to_owned()),
            404 if words.contains("bucket") => rejected("there is no such `bucket`".to_owned()),
            404 => rejected("no write API of InfluxDB 2 at this `url`".to_owned()),
            407 => rejected("the proxy requires authentication".to_owned()),
            408 => unavailable("it gave up waiting"),
            413 => Err(SendError::TooLarge(said)),
            415 if self.gzip => {
                rejected("it accepts no compressed points; set `gzip: false`".to_owned())
            }
            422 => partial(said),
            429 => unavailable("it asks for a pause"),
            500..600 => unavailable("it cannot store points now"),
            300..400 => rejected("it has moved; put its new address in `url`".to_owned()),
            _ => rejected("not an answer of an InfluxDB server".to_owned()),
        }
    }

    /// The server accepts no points until something is changed.
    pub(super) fn rejected<T>(&self, why: impl Display) -> Result<T, SendError> {
        Err(SendError::Permanent(format!("{}: {why}", self.server)))
    }

    /// The server accepts no points at present.
    pub(super) fn unavailable<T>(&self, why: impl Display) -> Result<T, SendError> {
        Err(SendError::transient(format!("{}: {why}", self.server)))
    }
}

impl CredentialKind {
    /// Says what a server means that knows nobody by them.
    fn refused(self) -> &'static str {
        match self {
            Self::None => "it wants a `token`, or `username` and `password`",
            Self::Token => "the token is wrong, or not for this `org`",
            Self::Basic => "`username` or `password` is wrong",
        }
    }

    /// Names who is known by them.
    pub(super) fn holder(self) -> &'static str {
        match self {
            Self::None => "a sender without credentials",
            Self::Token => "the token",
            Self::Basic => "`username`",
        }
    }
}

/// Returns whether a server that cannot read a request speaks of its bytes rather than of a point.
fn is_about_bytes(words: &str) -> bool {
    let words = words.to_lowercase();
    ["binary", "gzip", "encoding", "utf-8", "utf8"].iter().any(|word| words.contains(word))
}

/// Returns how many points a server that took some of a request says that it left out. InfluxDB 1 does not
/// count those among them that it could not parse, and names each.
fn dropped(words: &str) -> Option<usize> {
    let (_, after) = words.rsplit_once("dropped=")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    let unparsed = words.matches("unable to parse").count();
    Some(digits.parse::<usize>().ok()?.max(unparsed))
}

/// The message in an error's JSON, which InfluxDB 1 calls an error, or else the page; on one line,
/// and without what would steer a terminal.
fn words(text: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let member = |name| json.as_ref().and_then(|json| json.get(name)?.as_str());
    let message = member("message").or_else(|| member("error"));
    let words = message.unwrap_or(text).split(|c: char| c.is_whitespace() || c.is_control());
    words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The first of the words.
fn shortened(words: &str) -> String {
    match words.char_indices().nth(LONGEST_WORDS) {
        _ if words.is_empty() => "no words".to_owned(),
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// Returns the reason why there is no answer, from the innermost error: that is the one that says
/// it.
fn broken(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time (`timeout`)".to_owned();
    }
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let why = innermost.to_string();
    match &error {
        _ if why.contains("CaUsedAsEndEntity") => format!(
            "its certificate is that of an authority, which no server may use ({why}); give the server \
             one of its own, which with openssl is made with: -addext \
             basicConstraints=critical,CA:FALSE"
        ),
        _ if why.contains("certificate") => {
            format!("its certificate is not trusted ({why}); name its authority with `ca_file`")
        }
        error if error.is_connect() => format!("cannot be reached ({why})"),
        _ => format!("the connection broke ({why})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, text: &str) -> SendResult {
        let server = "http://host".to_owned();
        let request = RequestKind { server, credentials: CredentialKind::Token, gzip: true };
        request.response(StatusCode::from_u16(status).unwrap(), text, 9)
    }

    #[test]
    fn what_a_server_says_is_told_apart() {
        let said = |response| match response {
            Err(SendError::Permanent(said) | SendError::Transient { message: said, .. }) => said,
            other => panic!("{other:?}"),
        };
        for (status, message, expected) in [
            (401, "unauthorized access", "token is wrong"),
            (403, "insufficient permissions for write", "may not write"),
            (404, "organization name \\\"attic\\\" not found", "no such `org`"),
            (404, "bucket \\\"attic\\\" not found", "no such `bucket`"),
            (302, "", "it has moved"),
            (429, "slow down", "pause"),
            (503, "unavailable", "cannot store"),
        ] {
            let said = said(response(status, &format!(r#"{{"code":"x","message":"{message}"}}"#)));
            assert!(said.contains(expected), "{said}");
            assert!(said.contains(&message.replace('\\', "")) && !said.contains("code"), "{said}");
        }
        let page = format!("<html>\n<h1>Not\tFound</h1>{}", "x".repeat(5_000));
        let said = said(response(404, &page));
        assert!(said.contains("(404: <html> <h1>Not Found</h1>xxx") && said.len() < 400, "{said}");
    }

    #[test]
    fn any_2xx_is_a_success() {
        for status in [200, 201, 202, 204, 206] {
            for body in ["", "{}", "ok"] {
                assert_eq!(response(status, body), Ok(Receipt::default()));
            }
        }
    }

    #[test]
    fn a_page_is_no_success() {
        for page in ["<!DOCTYPE html><title>Login</title>", " \n<html>please log in</html>"] {
            let Err(SendError::Permanent(said)) = response(200, page) else { panic!("{page}") };
            assert!(said.contains("login page") && said.contains("og"), "{said}");
        }
    }

    #[test]
    fn a_server_without_compression_is_recognised() {
        let Err(SendError::Permanent(said)) = response(415, "") else { panic!("415") };
        assert!(said.contains("`gzip: false`"), "{said}");
        for words in ["binary data is not supported", "invalid UTF-8 in line 1"] {
            let Err(SendError::Invalid(said)) = response(400, words) else { panic!("{words}") };
            assert!(said.contains(words) && said.contains("`gzip: false`"), "{said}");
        }
    }

    #[test]
    fn a_server_may_say_how_many_points_it_left_out() {
        let left_out = |status, text: &str| response(status, text).unwrap().rejected;
        assert_eq!(left_out(422, "partial write: field type conflict dropped=3"), 3);
        assert_eq!(left_out(422, "beyond retention"), 9, "all of them");
        // InfluxDB 1 has stored the others.
        let long = format!(r#"{{"error":"partial write: {} dropped=3"}}"#, "x".repeat(5_000));
        assert_eq!(left_out(400, &long), 3);
        let unparsed =
            r#"{"error":"partial write: unable to parse 'x': missing fields dropped=0"}"#;
        assert_eq!(left_out(400, unparsed), 1);
        assert_eq!(
            response(400, r#"{"error":"unable to parse 'x': missing fields"}"#),
            Err(SendError::Invalid("400: unable to parse 'x': missing fields".to_owned()))
        );
    }
}
