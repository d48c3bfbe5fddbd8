//! What a device does, in one word.

/// The words, in the order in which they go before one another.
pub(super) const WORDS: [&str; 4] = ["Stopped", "Boosting", "Diverting", "Paused"];
