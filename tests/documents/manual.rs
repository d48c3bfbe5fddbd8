//! Help at the shell's prompt: the manual and the completions.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use support::gateway::{Sandbox, stderr, stdout};
use support::process::installed;

/// Every page of the manual.
fn pages(sandbox: &Sandbox) -> Vec<PathBuf> {
    let output = sandbox.run(&["man", "--all", "manual"]);
    assert!(output.status.success(), "{}", stderr(&output));
    let pages = fs::read_dir(sandbox.path("manual")).unwrap();
    pages.map(|page| page.unwrap().path()).collect()
}

#[test]
fn every_manual_page_is_without_fault() {
    let (Some(man), Some(mandoc)) = (installed("man"), installed("mandoc")) else { return };
    let sandbox = Sandbox::new();
    let pages = pages(&sandbox);
    assert!(pages.len() > 20, "{pages:?}");
    for page in pages {
        let mut show = Command::new(&man);
        // As lintian asks it.
        show.args(["--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z"]).arg(&page);
        let output = show.env("LC_ALL", "C.UTF-8").env("MANROFFSEQ", "").output().unwrap();
        assert_eq!(stderr(&output), "", "{}", page.display());
        assert!(output.status.success());
        let output =
            Command::new(&mandoc).args(["-T", "lint", "-W", "warning"]).arg(&page).output();
        // The library writes a break between paragraphs, which changes nothing.
        let faults = stdout(&output.unwrap());
        let faults = faults.lines().filter(|fault| !fault.contains("skipping paragraph macro: br"));
        let faults: Vec<_> = faults.collect();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

/// The page of a command as `man` shows it, or nothing without that program.
fn shown(command: &[&str]) -> Option<String> {
    let man = installed("man")?;
    let sandbox = Sandbox::new();
    let page = sandbox.run(&[&["man"], command].concat());
    assert!(page.status.success(), "{}", stderr(&page));
    sandbox.write("page.1", &page.stdout);
    let mut show = Command::new(man);
    show.args(["-l", "page.1"]).current_dir(sandbox.path("")).env("LC_ALL", "C.UTF-8");
    show.env("MANPAGER", "cat").env("MANWIDTH", "100").env_remove("GROFF_SGR");
    // Lines are filled up with blanks.
    let shown = stdout(&show.output().unwrap());
    Some(shown.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[test]
fn a_page_shows_what_its_command_takes() {
    let Some(backup) = shown(&["history", "backup"]) else { return };
    for words in ["--force", "--db", "energi-gateway history backup", "energi-gateway-history(1)"] {
        assert!(backup.contains(words), "{words}: {backup}");
    }
}

#[test]
fn the_first_page_shows_what_all_commands_share() {
    let Some(whole) = shown(&[]) else { return };
    for words in [
        "EXIT STATUS",
        " 78 The ",
        "RUST_LOG",
        "/etc/energi-gateway/config.yaml",
        "energi-gateway-import-config(1)",
        "EXAMPLES energi-gateway run",
    ] {
        assert!(whole.contains(words), "{words}: {whole}");
    }
}

#[test]
fn the_page_of_an_unknown_command_is_an_error() {
    let none = Sandbox::new().run(&["man", "histroy"]);
    assert_eq!(none.status.code(), Some(64));
}

#[test]
fn each_shell_can_read_its_completions() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let Some(program) = installed(shell) else { continue };
        let script = sandbox.run(&["completions", shell]);
        assert!(script.status.success());
        let script = sandbox.write(shell, &script.stdout);
        let read = Command::new(program).arg("-n").arg(script).output().unwrap();
        assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", stderr(&read));
    }
}

#[test]
fn bash_completes_a_command() {
    let Some(bash) = installed("bash") else { return };
    let sandbox = Sandbox::new();
    sandbox.write("bash", sandbox.run(&["completions", "bash"]).stdout);
    let complete = "source ./bash; COMP_WORDS=(energi-gateway history ba) COMP_CWORD=2; \
                    function=$(complete -p energi-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
                    $function energi-gateway ba history; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new(bash);
    bash.args(["--norc", "-c", complete]).current_dir(sandbox.path("")).stdin(Stdio::null());
    assert_eq!(stdout(&bash.output().unwrap()), "backup\n");
}
