//! Tables in the documents that the code writes: which rows there are, and their first cells. The
//! cells after those are kept from the page. The words of a new row are missing, and the test fails
//! until somebody has written them.

use std::fmt::Write;

/// The cells of a row of a table.
pub(crate) fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_start_matches('|').trim_end_matches('|').split('|').map(str::trim).collect()
}

/// The rows of the first table with these heads, without the heads.
pub(crate) fn rows<'a>(text: &'a str, heads: &str) -> impl Iterator<Item = Vec<&'a str>> {
    let start = text.find(heads).unwrap_or(text.len());
    text[start..].lines().take_while(|line| line.starts_with('|')).skip(2).map(cells)
}

/// The text with the rows of its first table with these heads as the code has them. `wanted` has the
/// first cells of each row. Rows keep their place and their other cells by the first cell; new ones
/// come last.
pub(crate) fn with_rows(text: &str, heads: &str, wanted: &[Vec<String>]) -> String {
    // An option table without rows is left out.
    let Some(start) = text.find(heads) else {
        assert!(wanted.is_empty(), "there is no table `{heads}`");
        return text.to_owned();
    };
    let lines: Vec<&str> =
        text[start..].split_inclusive('\n').take_while(|line| line.starts_with('|')).collect();
    let end = start + lines.iter().map(|line| line.len()).sum::<usize>();
    let old: Vec<_> = rows(text, heads).collect();
    let place = |row: &Vec<String>| old.iter().position(|old| old[0] == row[0]);
    let mut wanted: Vec<_> = wanted.iter().collect();
    wanted.sort_by_key(|row| place(row).unwrap_or(usize::MAX));

    let mut written = lines[..2].concat();
    for row in wanted {
        let kept = match place(row) {
            Some(place) => old[place][row.len()..].to_vec(),
            None => vec![""; cells(lines[0]).len() - row.len()],
        };
        let updating = std::env::var_os("UPDATE_GOLDEN").is_some();
        assert!(updating || kept.last() != Some(&""), "{heads} {row:?}: what is it?");
        for cell in row.iter().map(String::as_str).chain(kept) {
            write!(written, "|{}{cell} ", if cell.is_empty() { "" } else { " " }).unwrap();
        }
        written.push_str("|\n");
    }
    format!("{}{written}{}", &text[..start], &text[end..])
}
