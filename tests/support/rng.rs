//! The same chance in every run.

use std::ops::Range;

/// `SplitMix64`.
#[derive(Debug)]
pub struct Rng(pub u64);

impl Rng {
    pub fn u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn within(&mut self, range: Range<i64>) -> i64 {
        range.start + (self.u64() % range.start.abs_diff(range.end)).cast_signed()
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.u64().is_multiple_of(times)
    }
}
