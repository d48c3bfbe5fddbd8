//! A bounded sample of a stream whose length is not known beforehand.

/// Sample of a stream with a limit, evenly spread over it: every item while there is room, then
/// every second, every fourth and so on.
#[derive(Debug, Clone)]
pub struct Downsampled<T> {
    items: Vec<T>,
    most: usize,
    /// One of so many items is kept.
    stride: usize,
    /// Items still to pass over before one is kept.
    pass_over: usize,
}

impl<T> Downsampled<T> {
    /// Keeps up to `most` items, two at least.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { items: Vec::new(), most: most.max(2), stride: 1, pass_over: 0 }
    }

    /// Takes the next item of the stream.
    pub fn push(&mut self, item: T) {
        if self.pass_over > 0 {
            self.pass_over -= 1;
            return;
        }
        if self.items.len() == self.most {
            let mut index = 0;
            self.items.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.stride *= 2;
        }
        self.items.push(item);
        self.pass_over = self.stride - 1;
    }

    /// Returns what was kept, in the stream's order.
    #[must_use]
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// Puts what was kept in another order; afterwards nothing more should be taken in.
    pub fn sort_by_key<K: Ord>(&mut self, key: impl FnMut(&T) -> K) {
        self.items.sort_by_key(key);
    }

    /// Forgets what is the same as the item before it; afterwards nothing more should be taken in.
    pub fn dedup_by(&mut self, mut same: impl FnMut(&T, &T) -> bool) {
        self.items.dedup_by(|later, earlier| same(later, earlier));
    }

    /// One of so many items was kept; 1 where all were.
    #[must_use]
    pub const fn stride(&self) -> usize {
        self.stride
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bounded_sample_is_evenly_spread() {
        for (length, stride) in [(0, 1), (8, 1), (9, 2), (16, 2), (17, 4), (1000, 128)] {
            let mut sample = Downsampled::new(8);
            (0..length).for_each(|item| sample.push(item));
            assert_eq!(sample.stride(), stride, "{length}");
            assert!(sample.items().len() <= 8);
            let expected: Vec<_> = (0..length).step_by(stride).collect();
            assert_eq!(sample.items(), expected, "{length}");
        }
    }
}
