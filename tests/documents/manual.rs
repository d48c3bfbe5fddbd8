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

#[test]
fn a_page_shows_what_the_command_takes_and_the_programs_own_what_is_around_it() {
    let Some(man) = installed("man") else { return };
    let sandbox = Sandbox::new();
    let shown = |command: &[&str]| {
        let page = sandbox.run(&[&["man"], command].concat());
        assert!(page.status.success(), "{}", stderr(&page));
        sandbox.write("page.1", &page.stdout);
        let mut show = Command::new(&man);
        show.args(["-l", "page.1"]).current_dir(sandbox.path("")).env("LC_ALL", "C.UTF-8");
        show.env("MANPAGER", "cat").env("MANWIDTH", "100").env_remove("GROFF_SGR");
        // Lines are filled up with blanks.
        let shown = stdout(&show.output().unwrap());
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let backup = shown(&["history", "backup"]);
    for words in ["--force", "--db", "energi-gateway history backup", "energi-gateway-history(1)"] {
        assert!(backup.contains(words), "{words}: {backup}");
    }
    let whole = shown(&[]);
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
    let none = sandbox.run(&["man", "histroy"]);
    assert_eq!(none.status.code(), Some(64));
}

#[test]
fn each_shell_can_read_its_completions_and_bash_completes_with_them() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let Some(program) = installed(shell) else { continue };
        let script = sandbox.run(&["completions", shell]);
        assert!(script.status.success());
        let script = sandbox.write(shell, &script.stdout);
        let read = Command::new(program).arg("-n").arg(script).output().unwrap();
        assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", stderr(&read));
    }
    let Some(bash) = installed("bash") else { return };
    let complete = "source ./bash; COMP_WORDS=(energi-gateway history ba) COMP_CWORD=2; \
                    function=$(complete -p energi-gateway | sed 's/.*-F \\([^ ]*\\).*/\\1/'); \
                    $function energi-gateway ba history; echo \"${COMPREPLY[@]}\"";
    let mut bash = Command::new(bash);
    bash.args(["--norc", "-c", complete]).current_dir(sandbox.path("")).stdin(Stdio::null());
    assert_eq!(stdout(&bash.output().unwrap()), "backup\n");
}
