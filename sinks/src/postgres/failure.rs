//! Meaning of a server's error for the readings of the batch.

use std::error::Error as _;

use tokio_postgres::Error;

use crate::runner::SendError;

/// Converts an error of the server named so. What somebody has to change is named.
pub(super) fn failure(server: &str, error: &Error) -> SendError {
    let Some(database) = error.as_db_error() else {
        return SendError::transient(format!("{server}: {}", broken(error)));
    };
    let code = database.code().code();
    let said = format!("{code}: {}", database.message());
    let permanent = |why: &str| SendError::Permanent(format!("{server}: {why} ({said})"));
    match code {
        "28P01" | "28000" => {
            permanent("it refuses this role: check `url`, the password and pg_hba.conf")
        }
        "3D000" => permanent("there is no such database"),
        "42501" => permanent("this role lacks a privilege; docs/sinks/postgres.md lists them"),
        "42P01" | "42703" | "3F000" => {
            permanent("the tables are not those of this sink; docs/sinks/postgres.md has them")
        }
        // A constraint that is violated has a name; a partition that is missing has none.
        "23514" if database.constraint().is_none() => {
            permanent("no partition takes readings of this time: create one")
        }
        "53100" => SendError::transient(format!("{server}: its disk is full ({said})")),
        "53300" => SendError::transient(format!("{server}: too many connections ({said})")),
        // Of a standby, to which a connection stayed open while the primary became another.
        "25006" => SendError::transient(format!("{server}: it accepts no writes now ({said})")),
        _ if code.starts_with("54") => SendError::TooLarge(said),
        // Data exceptions and violated constraints.
        _ if code.starts_with("22") || code.starts_with("23") => SendError::Invalid(said),
        _ => SendError::transient(format!("{server}: {said}")),
    }
}

/// Returns the reason why there is no answer, from the innermost error: that is the one that says
/// it.
fn broken(error: &Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    let why = innermost.to_string();
    match error.to_string() {
        _ if why.contains("certificate") => format!(
            "its certificate is not trusted ({why}); name its authority with `ca_file`, or write \
             `?sslmode=disable` in `url`"
        ),
        said if said.contains("TLS") => format!("no encrypted connection ({why})"),
        _ if error.is_closed() => format!("the connection broke ({why})"),
        _ if error.source().is_some() => format!("cannot be reached ({why})"),
        said => said,
    }
}
