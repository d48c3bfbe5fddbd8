//! Advice for when the operating system forbids capturing.

use std::io;

/// The reason, and the ways to get the permission, each ready to be pasted.
pub(super) fn remedy(error: &io::Error) -> String {
    let program = program_file();
    format!(
        "no permission to capture on a network interface ({error}). Grant it to this program, and again \
         after each update:\n  sudo setcap cap_net_raw+ep {program}\nor, for a systemd service, \
         add to its [Service] section:\n  AmbientCapabilities=CAP_NET_RAW\nor, in Docker, start the \
         container with:\n  --network host --cap-add NET_RAW"
    )
}

/// The file of this program, as a shell reads it.
fn program_file() -> String {
    std::env::current_exe().map_or_else(
        |_| "/path/to/energi-gateway".to_owned(),
        |path| quoted(&path.to_string_lossy()),
    )
}

/// Names this program as root's shell finds it: by name where it is installed, else by its path.
#[must_use]
pub fn program() -> String {
    let file = program_file();
    match file.rsplit_once('/') {
        Some(("/usr/bin" | "/usr/local/bin" | "/usr/sbin" | "/bin", name)) => name.to_owned(),
        _ => file,
    }
}

/// A path as a shell reads it.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%:,=".contains(c);
    if path.chars().all(plain) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("/usr/bin/energi-gateway"), "/usr/bin/energi-gateway");
        assert_eq!(quoted("/home/a b/it's"), r"'/home/a b/it'\''s'");
        let remedy = remedy(&io::Error::from_raw_os_error(libc::EPERM));
        assert!(remedy.contains("sudo setcap cap_net_raw+ep /"), "{remedy}");
    }
}
