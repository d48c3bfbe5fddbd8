//! Damage that SQLite must not meet first: it deletes the log beside an empty file, and all that was
//! in it.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::place::beside;

/// Bytes of a database's header.
const HEADER: usize = 100;

/// Bytes of a log's header, and of the header of each page in it.
const LOG_HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// Says what is wrong with a file that lies beside its log and is empty.
pub(crate) fn emptied(path: &Path) -> Option<String> {
    let is_empty = fs::metadata(path).is_ok_and(|file| file.len() == 0);
    let log = log_size(path);
    (is_empty && log > 0)
        .then(|| format!("the file is empty, beside a log of {log} bytes that belongs to it"))
}

/// Says what is wrong with a file that lies beside its log and is empty, or shorter than its header
/// says. Pages that a checkpoint had not yet copied when it was cut off are in the log: those are not
/// missing.
///
/// Nobody may have the database open: closing a file gives up the locks that this process has on it.
pub(crate) fn cut_short(path: &Path) -> io::Result<Option<String>> {
    if let Some(damage) = emptied(path) {
        return Ok(Some(damage));
    }
    if log_size(path) == 0 {
        return Ok(None);
    }
    let mut header = [0; HEADER];
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if file.read_exact(&mut header).is_err() || !header.starts_with(b"SQLite format 3\0") {
        return Ok(None);
    }
    let page_size = match u64::from(u16::from_be_bytes([header[16], header[17]])) {
        1 => 65_536,
        size => size,
    };
    // The number of pages is right only where both counters agree.
    if header[24..28] != header[92..96] || page_size < 512 {
        return Ok(None);
    }
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let here = u32::try_from(size / page_size).unwrap_or(u32::MAX);
    if here >= pages {
        return Ok(None);
    }
    let logged = logged_pages(path, page_size)?;
    let missing = (here + 1..=pages).filter(|page| !logged.contains(page)).count();
    Ok((missing > 0).then(|| {
        format!("the file has {here} of the {pages} pages that its header says, {missing} are lost")
    }))
}

fn log_size(path: &Path) -> u64 {
    fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len())
}

/// The pages that the present generation of the log holds.
fn logged_pages(path: &Path, page_size: u64) -> io::Result<BTreeSet<u32>> {
    let mut log = BufReader::new(File::open(beside(path, "-wal"))?);
    let mut header = [0; LOG_HEADER];
    let mut pages = BTreeSet::new();
    if log.read_exact(&mut header).is_err() {
        return Ok(pages);
    }
    let mut frame = [0; FRAME_HEADER];
    while log.read_exact(&mut frame).is_ok() && frame[8..16] == header[16..24] {
        pages.insert(u32::from_be_bytes([frame[0], frame[1], frame[2], frame[3]]));
        let Ok(skip) = i64::try_from(page_size) else { break };
        log.seek_relative(skip)?;
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    #[test]
    fn pages_still_in_the_log_are_not_missing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("energi.db");
        let connection = Connection::open(&path).unwrap();
        let make = "PRAGMA journal_mode = wal; CREATE TABLE room (bytes BLOB);
                    INSERT INTO room VALUES (zeroblob(100000))";
        connection.execute_batch(make).unwrap();
        let log = fs::read(beside(&path, "-wal")).unwrap();
        connection.execute_batch("PRAGMA wal_checkpoint").unwrap();
        let whole = fs::read(&path).unwrap();
        drop(connection);
        // A power cut after the first page had come to the file.
        fs::write(&path, &whole[..4096]).unwrap();
        fs::write(beside(&path, "-wal"), &log).unwrap();
        assert_eq!(cut_short(&path).unwrap(), None);
        fs::write(beside(&path, "-wal"), &log[..log.len() / 2]).unwrap();
        assert!(cut_short(&path).unwrap().is_some_and(|damage| damage.contains("lost")));
    }
}
