//! Payloads: the units that go into a queue and to a destination.

use std::borrow::Cow;

/// Encoded readings: one line an item, so that those of several batches can be joined and a batch
/// can be halved.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Payload {
    /// The items, each ended by a line break.
    pub data: Vec<u8>,
    /// Number of items.
    pub items: usize,
}

impl From<String> for Payload {
    /// The lines of a text, which ends with a line break or is empty.
    fn from(text: String) -> Self {
        let items = text.bytes().filter(|byte| *byte == b'\n').count();
        Self { data: text.into_bytes(), items }
    }
}

impl Payload {
    /// The items as text.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.data)
    }

    /// Returns whether there is no item.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items == 0
    }

    /// The first half, which is the larger one, and the second; `None` where there is only one item
    /// or none.
    #[must_use]
    pub fn halves(&self) -> Option<(Self, Self)> {
        let first = self.items.div_ceil(2);
        let mut breaks = self.data.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
        let (end, _) = breaks.nth(first.checked_sub(1)?)?;
        let (head, tail) = self.data.split_at_checked(end + 1)?;
        let half = |data: &[u8], items| Self { data: data.to_owned(), items };
        (self.items > 1).then(|| (half(head, first), half(tail, self.items - first)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_whole_items() {
        let lines = |count: usize| Payload::from("a\n".repeat(count));
        assert_eq!(lines(5).halves(), Some((lines(3), lines(2))));
        assert_eq!(lines(2).halves(), Some((lines(1), lines(1))));
        assert_eq!((lines(1).halves(), lines(0).halves()), (None, None));
    }
}
