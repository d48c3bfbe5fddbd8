//! The page on what goes wrong leaves no fault out, and each line of it is proved.

use crate::page::Page;

#[test]
fn every_fault_of_the_capture_and_of_each_sink_has_a_line() {
    let page = Page::read("docs/reliability.md").text;
    let section = |title: &str| {
        let (_, rest) = page.split_once(&format!("\n### {title}\n")).unwrap();
        rest.split("\n#").next().unwrap()
    };
    for part in ["The capture", "`stdout`", "`sqlite`", "`mqtt`", "`influxdb`"] {
        for fault in ["slow", "hanging", "crashing", "disk full", "read-only"] {
            assert!(section(part).contains(&format!("**{fault}**")), "{part}: {fault}");
        }
    }
    for fault in [
        "clock jumps an hour",
        "clock jumps a year",
        "time at 1970 on boot",
        "`SIGSTOP` for a minute",
        "`SIGKILL` anywhere",
        "file descriptors exhausted",
    ] {
        assert!(section("The whole process").contains(&format!("**{fault}**")), "{fault}");
    }
}

#[test]
fn every_line_of_a_table_of_faults_names_its_test() {
    let page = Page::read("docs/reliability.md").text;
    let mut lines = page.lines();
    let mut rows = 0;
    while let Some(line) = lines.next() {
        if line != "| fault | what users see | what is lost | proved by |" {
            continue;
        }
        for row in lines.by_ref().skip(1).take_while(|row| row.starts_with('|')) {
            let proof = row.trim_end_matches(" |").rsplit('|').next().unwrap();
            assert!(proof.trim().starts_with('`'), "{row}");
            rows += 1;
        }
    }
    assert!(rows > 40, "{rows}");
}
