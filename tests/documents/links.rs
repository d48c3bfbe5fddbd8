//! Links lead somewhere, and what is named is there.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::page::{Page, pages};
use support::gateway::root;

#[test]
fn every_link_within_the_project_leads_somewhere() {
    let pages = pages();
    let mut wrong = Vec::new();
    for page in &pages {
        for link in &page.links {
            if let Err(why) = follow(page, link, &pages) {
                wrong.push(format!("{}: {link}: {why}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn follow(page: &Page, link: &str, pages: &[Page]) -> Result<(), String> {
    if link.starts_with("https://") || link.starts_with("http://localhost:") {
        return Ok(());
    }
    if link.contains(':') {
        return Err("neither a path nor https".to_owned());
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let folder = Path::new(&page.path).parent().unwrap();
    let target = if path.is_empty() { PathBuf::from(&page.path) } else { tidy(&folder.join(path)) };
    if !root().join(&target).exists() {
        return Err("there is no such file".to_owned());
    }
    if anchor.is_empty() {
        return Ok(());
    }
    let target = pages.iter().find(|page| Path::new(&page.path) == target);
    match target {
        Some(target) if target.anchors.contains(anchor) => Ok(()),
        Some(target) => Err(format!("it has {:?}", target.anchors)),
        None => Err("no page of the project".to_owned()),
    }
}

/// The path without `..`.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir {
            assert!(tidy.pop(), "{}: outside the project", path.display());
        } else {
            tidy.push(part);
        }
    }
    tidy
}

#[test]
fn every_page_can_be_reached_from_the_first() {
    let pages = pages();
    let mut reached = BTreeSet::from(["README.md".to_owned()]);
    let mut open = vec!["README.md".to_owned()];
    while let Some(path) = open.pop() {
        let Some(page) = pages.iter().find(|page| page.path == path) else { continue };
        let folder = Path::new(&path).parent().unwrap();
        for link in page.links.iter().filter(|link| !link.contains(':') && !link.starts_with('#')) {
            let target = tidy(&folder.join(link.split('#').next().unwrap()));
            let target = target.to_str().unwrap().to_owned();
            if reached.insert(target.clone()) {
                open.push(target);
            }
        }
    }
    let lost: Vec<_> = pages
        .iter()
        .map(|page| &page.path)
        .filter(|path| !path.starts_with(".github/") && !reached.contains(*path))
        .collect();
    assert!(lost.is_empty(), "no way leads to {lost:?}");
}

/// The folders by which a path of the project is known.
const FOLDERS: [&str; 12] = [
    ".ci/",
    ".github/",
    "benches/",
    "decoders/",
    "docs/",
    "examples/",
    "fuzz/",
    "packaging/",
    "sinks/",
    "src/",
    "tests/",
    "target/release/",
];

/// Files that a page tells its reader to make.
const TO_BE_MADE: [&str; 3] =
    ["decoders/src/packets/x2c.rs", "docs/sinks/collector.md", "sinks/src/collector.rs"];

#[test]
fn every_path_of_the_project_that_is_named_exists() {
    let mut wrong = Vec::new();
    for page in pages() {
        let blocks = page.blocks.iter().filter(|block| matches!(&*block.kind, "sh" | "console"));
        let words = blocks.flat_map(|block| block.content.split_whitespace());
        for word in words.chain(page.code.iter().flat_map(|code| code.split_whitespace())) {
            let word = word.trim_start_matches("./").trim_end_matches([',', ':']);
            let ours = FOLDERS.iter().any(|folder| word.starts_with(folder));
            let built = word.starts_with("target/") || word.contains(['*', '{', '<', '…']);
            if ours && !built && !TO_BE_MADE.contains(&word) && !root().join(word).exists() {
                wrong.push(format!("{}: {word}", page.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_package_that_the_tests_need_is_named() {
    let ci = std::fs::read_to_string(root().join(".ci/run")).unwrap();
    let (_, packages) = ci.split_once("\npackages=(\n").unwrap();
    let (packages, _) = packages.split_once("\n)\n").unwrap();
    let lines = packages.lines().map(|line| line.split('#').next().unwrap());
    let page = Page::read("docs/contributing.md").text;
    for package in lines.flat_map(str::split_whitespace) {
        let named = page.split([' ', '\n', '`']).any(|word| word == package);
        assert!(named, "docs/contributing.md does not name {package}");
    }
}
