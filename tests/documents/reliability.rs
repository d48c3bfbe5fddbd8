//! The page on faults leaves none out.

use energi_sinks::registry::BUILT;

use crate::page::Page;

#[test]
fn every_fault_has_a_line_on_its_page() {
    let page = Page::read("docs/reliability.md").text;
    let section = |title: &str| {
        let (_, rest) = page.split_once(&format!("\n### {title}\n")).unwrap();
        rest.split("\n#").next().unwrap()
    };
    let sinks = BUILT.iter().map(|name| format!("`{name}`"));
    for part in std::iter::once("The capture".to_owned()).chain(sinks) {
        for fault in ["slow", "hanging", "crashing", "disk full", "read-only"] {
            assert!(section(&part).contains(&format!("**{fault}**")), "{part}: {fault}");
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
