//! Handling of a test whose server or privilege this machine does not have.

use std::io::Write;

/// Says that this test is skipped and why. With `ENERGI_REQUIRE_ALL=1` a test that cannot run has
/// failed.
pub fn skip(why: &str) {
    assert!(std::env::var("ENERGI_REQUIRE_ALL").as_deref() != Ok("1"), "cannot run: {why}");
    // Not by a macro, whose words are kept back for a test that passes.
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).unwrap();
}
