//! The project's pages, taken apart.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use support::gateway::root;

/// A page in Markdown.
pub(crate) struct Page {
    /// The path from the project's folder.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) blocks: Vec<Block>,
    /// Texts between backquotes.
    pub(crate) code: Vec<String>,
    /// Targets of its links and images.
    pub(crate) links: Vec<String>,
    /// Names that links may have after `#`.
    pub(crate) anchors: BTreeSet<String>,
    /// The words for people, code left out.
    pub(crate) prose: String,
}

/// A fenced block of code.
pub(crate) struct Block {
    /// Word after the fence: `yaml`, or `yaml compose` for what is another program's.
    pub(crate) kind: String,
    pub(crate) content: String,
}

/// Every page of the project.
pub(crate) fn pages() -> Vec<Page> {
    let mut found = vec![Page::read("README.md")];
    for folder in ["docs", "examples", ".github"] {
        collect(folder, &mut found);
    }
    assert!(found.len() > 15, "the pages are there");
    found
}

fn collect(folder: &str, found: &mut Vec<Page>) {
    let Ok(entries) = fs::read_dir(root().join(folder)) else { return };
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in names {
        let path = format!("{folder}/{name}");
        if root().join(&path).is_dir() {
            collect(&path, found);
        } else if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            found.push(Page::read(&path));
        }
    }
}

impl Page {
    pub(crate) fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| {
            panic!("{path}: {error}");
        });
        let mut page = Self {
            path: path.to_owned(),
            text: String::new(),
            blocks: Vec::new(),
            code: Vec::new(),
            links: Vec::new(),
            anchors: BTreeSet::new(),
            prose: String::new(),
        };
        page.take_apart(&text);
        page.text = text;
        page
    }

    fn take_apart(&mut self, text: &str) {
        let (mut heading, mut in_block) = (None, false);
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let CodeBlockKind::Fenced(kind) = kind else {
                        panic!("{}: a block of code without a fence", self.path);
                    };
                    self.blocks.push(Block { kind: kind.into_string(), content: String::new() });
                    in_block = true;
                }
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Text(text) if in_block => {
                    self.blocks.last_mut().unwrap().content.push_str(&text);
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap());
                    let times = seen.entry(slug.clone()).or_default();
                    let anchor = if *times == 0 { slug } else { format!("{slug}-{times}") };
                    *times += 1;
                    self.anchors.insert(anchor);
                    self.prose.push('\n');
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    self.links.push(dest_url.into_string());
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    let sources = html.split("src=\"").skip(1);
                    self.links.extend(
                        sources.filter_map(|rest| rest.split('"').next().map(String::from)),
                    );
                }
                Event::Text(text) => {
                    self.prose.extend(words(&text).flat_map(|word| [word, " "]));
                    if let Some(heading) = &mut heading {
                        heading.push_str(&text);
                    }
                }
                Event::Code(code) => {
                    if let Some(heading) = &mut heading {
                        heading.push_str(&code);
                    }
                    self.code.push(code.into_string());
                    self.prose.push(' ');
                }
                Event::SoftBreak | Event::HardBreak | Event::End(_) => self.prose.push('\n'),
                _ => {}
            }
        }
    }

    /// The contents of the blocks of a kind.
    pub(crate) fn blocks_of(&self, kind: &str) -> impl Iterator<Item = &str> {
        self.blocks.iter().filter(move |block| block.kind == kind).map(|block| &*block.content)
    }
}

/// The words of a text, without what is a name of the machine's: paths, numbers, names of files.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let name = |c: char| matches!(c, '/' | '_' | '0'..='9');
    let file = |word: &str| word.trim_end_matches(['.', ')', ':', ',']).contains('.');
    text.split_whitespace().filter(move |word| !word.contains(name) && !file(word))
}

/// The anchor that GitHub gives to a heading.
fn slug(heading: &str) -> String {
    let plain = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(plain)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// All code of the project.
pub(crate) fn sources() -> String {
    let mut sources = String::new();
    for folder in ["examples", "decoders", "sinks", "src", "tests"] {
        read_all(&root().join(folder), &mut sources);
    }
    sources
}

fn read_all(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
