//! What a server's answer means for the points that it was sent.

use influxdb2::RequestError;
use reqwest::StatusCode;

/// More of what a server says is not kept.
const LONGEST_WORDS: usize = 300;

/// What became of the points of a request. Each text says what the server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It has them all.
    Taken,
    /// It has those that it could store; the others will never be.
    TakenInPart {
        said: String,
        /// How many it left out, where it says so.
        dropped: Option<usize>,
    },
    /// There is one among them that it cannot read, and it has none of them.
    Malformed(String),
    /// They are too many for one request.
    TooLarge(String),
    /// It takes none until somebody changes something.
    Refused(String),
    /// It takes none now.
    Away(String),
}

impl Answer {
    /// What the client's error says.
    pub(super) fn of(error: RequestError) -> Self {
        match error {
            RequestError::Http { status, text } => Self::of_status(status, &text),
            RequestError::ReqwestProcessing { source } => Self::Away(broken(source)),
            other => Self::Away(other.to_string()),
        }
    }

    fn of_status(status: StatusCode, text: &str) -> Self {
        let whole = words(text);
        let words = shortened(&whole);
        let said = format!("{}: {words}", status.as_u16());
        match status.as_u16() {
            // The crate takes 204 alone for a success.
            200..300 => Self::Taken,
            // InfluxDB 1 says so of what 2 calls 422.
            400 if whole.contains("partial write") && whole.contains("dropped=") => {
                Self::TakenInPart { said, dropped: dropped(&whole) }
            }
            400 => Self::Malformed(said),
            401 => Self::Refused(format!("the token is wrong, or not for this `org` ({said})")),
            403 => Self::Refused(format!("the token may not write to this `bucket` ({said})")),
            404 if words.contains("organization") => {
                Self::Refused(format!("there is no such `org` ({said})"))
            }
            404 if words.contains("bucket") => {
                Self::Refused(format!("there is no such `bucket` ({said})"))
            }
            404 => Self::Refused(format!("no write API of InfluxDB 2 at this `url` ({said})")),
            413 => Self::TooLarge(said),
            422 => Self::TakenInPart { said, dropped: dropped(&whole) },
            408 => Self::Away(format!("it gave up waiting ({said})")),
            429 => Self::Away(format!("it asks for a pause ({said})")),
            500..600 => Self::Away(format!("it cannot store points now ({said})")),
            300..400 => {
                Self::Refused(format!("it has moved; put its new address in `url` ({said})"))
            }
            _ => Self::Refused(format!("an answer that no InfluxDB gives ({said})")),
        }
    }
}

/// How many points a server that took some of a request says that it left out. InfluxDB 1 does not
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

/// Why there is no answer, from the innermost error: that is the one that says it.
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

    fn answer(status: u16, text: &str) -> Answer {
        Answer::of_status(StatusCode::from_u16(status).unwrap(), text)
    }

    #[test]
    fn what_a_server_says_is_told_apart() {
        let said = |answer| match answer {
            Answer::Refused(said) | Answer::Away(said) => said,
            other => panic!("{other:?}"),
        };
        for (status, message, expected) in [
            (401, "unauthorized access", "the token is wrong"),
            (403, "insufficient permissions for write", "may not write to this `bucket`"),
            (404, "organization name \\\"attic\\\" not found", "no such `org`"),
            (404, "bucket \\\"attic\\\" not found", "no such `bucket`"),
            (302, "", "it has moved"),
            (429, "slow down", "asks for a pause"),
            (503, "unavailable", "cannot store points now"),
        ] {
            let said = said(answer(status, &format!(r#"{{"code":"x","message":"{message}"}}"#)));
            assert!(said.contains(expected), "{said}");
            assert!(said.contains(&message.replace('\\', "")) && !said.contains("code"), "{said}");
        }
        let page = format!("<html>\n<h1>Not\tFound</h1>{}", "x".repeat(5_000));
        let said = said(answer(404, &page));
        assert!(said.contains("(404: <html> <h1>Not Found</h1>xxx") && said.len() < 400, "{said}");
    }

    #[test]
    fn any_2xx_is_a_success() {
        for status in [200, 201, 202, 204, 206] {
            assert_eq!(answer(status, "{}"), Answer::Taken);
        }
    }

    #[test]
    fn a_server_may_say_how_many_points_it_left_out() {
        let left_out = |status, text: &str| match answer(status, text) {
            Answer::TakenInPart { dropped, .. } => dropped,
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
            answer(400, r#"{"error":"unable to parse 'x': missing fields"}"#),
            Answer::Malformed("400: unable to parse 'x': missing fields".to_owned())
        );
    }
}
