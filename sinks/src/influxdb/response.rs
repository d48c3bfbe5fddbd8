//! Meaning of a server's response for the points of the request.

use influxdb2::RequestError;
use reqwest::StatusCode;

use crate::runner::{Receipt, SendError};

/// More of what a server says is not kept.
const LONGEST_WORDS: usize = 300;

/// Options of a request that the advice on its response depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestKind {
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

/// Result of a request. Each text is the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WriteResponse {
    /// The server has stored all points.
    Accepted,
    /// The server has stored the valid points and will never store the others.
    Partial {
        said: String,
        /// Number of points that the server left out, if known.
        dropped: Option<usize>,
    },
    /// Batch with a point that the server cannot read; it has none of them.
    BadRequest(String),
    /// Too many points for one request.
    TooLarge(String),
    /// The server accepts no points until something is changed.
    Rejected(String),
    /// The server accepts no points at present.
    Unavailable(String),
}

impl WriteResponse {
    /// Reads the client's error.
    pub(super) fn of(error: RequestError, request: RequestKind) -> Self {
        match error {
            RequestError::Http { status, text } => Self::of_status(status, &text, request),
            RequestError::ReqwestProcessing { source } => Self::Unavailable(broken(source)),
            other => Self::Unavailable(other.to_string()),
        }
    }

    fn of_status(status: StatusCode, text: &str, request: RequestKind) -> Self {
        let whole = words(text);
        let words = shortened(&whole);
        let said = format!("{}: {words}", status.as_u16());
        match status.as_u16() {
            200..300 if text.trim_start().starts_with('<') => Self::Rejected(format!(
                "an HTML page instead of an answer to points ({said}); is another program at this \
                 `url`, such as a login page?"
            )),
            // The crate takes 204 alone for a success.
            200..300 => Self::Accepted,
            // InfluxDB 1 says so of what 2 calls 422.
            400 if whole.contains("partial write") && whole.contains("dropped=") => {
                Self::Partial { said, dropped: dropped(&whole) }
            }
            400 if request.gzip && is_about_bytes(&whole) => Self::BadRequest(format!(
                "{said}; if the server accepts no compressed points, set `gzip: false`"
            )),
            400 => Self::BadRequest(said),
            401 => Self::Rejected(format!("{} ({said})", request.credentials.refused())),
            403 => Self::Rejected(format!(
                "{} may not write to this `bucket` ({said})",
                request.credentials.holder()
            )),
            404 if words.contains("organization") => {
                Self::Rejected(format!("there is no such `org` ({said})"))
            }
            404 if words.contains("bucket") => {
                Self::Rejected(format!("there is no such `bucket` ({said})"))
            }
            404 => Self::Rejected(format!("no write API of InfluxDB 2 at this `url` ({said})")),
            407 => Self::Rejected(format!("the proxy requires authentication ({said})")),
            408 => Self::Unavailable(format!("it gave up waiting ({said})")),
            413 => Self::TooLarge(said),
            415 if request.gzip => Self::Rejected(format!(
                "it accepts no compressed points; set `gzip: false` ({said})"
            )),
            422 => Self::Partial { said, dropped: dropped(&whole) },
            429 => Self::Unavailable(format!("it asks for a pause ({said})")),
            500..600 => Self::Unavailable(format!("it cannot store points now ({said})")),
            300..400 => {
                Self::Rejected(format!("it has moved; put its new address in `url` ({said})"))
            }
            _ => Self::Rejected(format!("not an answer of an InfluxDB server ({said})")),
        }
    }

    /// Converts the response to what the engine makes of it.
    ///
    /// # Errors
    /// [`SendError`] where the server has none of the points.
    pub(super) fn into_result(self, points: usize, server: &str) -> Result<Receipt, SendError> {
        let at = |said| format!("{server}: {said}");
        match self {
            Self::Accepted => Ok(Receipt::default()),
            Self::Partial { said, dropped } => {
                Ok(Receipt { rejected: dropped.unwrap_or(points), reason: said })
            }
            Self::BadRequest(said) => Err(SendError::Invalid(said)),
            Self::TooLarge(said) => Err(SendError::TooLarge(said)),
            Self::Rejected(said) => Err(SendError::Permanent(at(said))),
            Self::Unavailable(said) => Err(SendError::transient(at(said))),
        }
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

    fn response(status: u16, text: &str) -> WriteResponse {
        let request = RequestKind { credentials: CredentialKind::Token, gzip: true };
        WriteResponse::of_status(StatusCode::from_u16(status).unwrap(), text, request)
    }

    #[test]
    fn what_a_server_says_is_told_apart() {
        let said = |response| match response {
            WriteResponse::Rejected(said) | WriteResponse::Unavailable(said) => said,
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
                assert_eq!(response(status, body), WriteResponse::Accepted);
            }
        }
    }

    #[test]
    fn a_page_is_no_success() {
        for page in ["<!DOCTYPE html><title>Login</title>", " \n<html>please log in</html>"] {
            let WriteResponse::Rejected(said) = response(200, page) else { panic!("{page}") };
            assert!(said.contains("login page") && said.contains("og"), "{said}");
        }
    }

    #[test]
    fn a_server_without_compression_is_recognised() {
        let WriteResponse::Rejected(said) = response(415, "") else { panic!("415") };
        assert!(said.contains("`gzip: false`"), "{said}");
        for words in ["binary data is not supported", "invalid UTF-8 in line 1"] {
            let WriteResponse::BadRequest(said) = response(400, words) else { panic!("{words}") };
            assert!(said.contains(words) && said.contains("`gzip: false`"), "{said}");
        }
    }

    #[test]
    fn a_server_may_say_how_many_points_it_left_out() {
        let left_out = |status, text: &str| match response(status, text) {
            WriteResponse::Partial { dropped, .. } => dropped,
            other => panic!("{other:?}"),
        };
        assert_eq!(left_out(422, "partial write: field type conflict dropped=3"), Some(3));
        assert_eq!(left_out(422, "beyond retention"), None);
        // InfluxDB 1 has stored the others.
        let long = format!(r#"{{"error":"partial write: {} dropped=3"}}"#, "x".repeat(5_000));
        assert_eq!(left_out(400, &long), Some(3));
        let unparsed =
            r#"{"error":"partial write: unable to parse 'x': missing fields dropped=0"}"#;
        assert_eq!(left_out(400, unparsed), Some(1));
        assert_eq!(
            response(400, r#"{"error":"unable to parse 'x': missing fields"}"#),
            WriteResponse::BadRequest("400: unable to parse 'x': missing fields".to_owned())
        );
    }
}
