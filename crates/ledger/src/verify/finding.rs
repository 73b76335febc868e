//! What an audit can find, and the sentence for each.

use std::fmt;

use crate::Hash;

/// One thing that is wrong with a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Entries are not there.
    Missing {
        /// The first index.
        first: u64,
        /// The last index.
        last: u64,
    },
    /// An entry came after others that have a higher index.
    Reordered {
        /// Its index.
        index: u64,
        /// The highest index that came before it.
        after: u64,
    },
    /// An index came a second time.
    Repeated {
        /// Which.
        index: u64,
    },
    /// The entry at an index is the one that was sequenced at another.
    Moved {
        /// Where it stands.
        index: u64,
        /// Where it belongs.
        from: u64,
    },
    /// An entry or its event is not what was sequenced.
    Altered {
        /// Its index.
        index: u64,
        /// In which way.
        what: Alteration,
    },
    /// The root over the entries is not the one that was signed.
    RootMismatch {
        /// The checkpoint's size.
        size: u64,
        /// The checkpoint's root.
        signed: Hash,
        /// The root over the entries.
        computed: Hash,
        /// The largest size below it whose root matched: the change lies between the two.
        since: u64,
        /// Whether the stored leaf hashes lead to the signed root. Then the altered and moved entries that were
        /// found are all there are.
        explained: bool,
    },
    /// The root cannot be computed.
    RootUnknown {
        /// The checkpoint's size.
        size: u64,
        /// The first index that was missing or out of order.
        index: u64,
    },
    /// A checkpoint ends among entries that were left out.
    LeftOut {
        /// The checkpoint's size.
        size: u64,
    },
    /// Two checkpoints of the same size have different roots: the log has shown two histories.
    Forked {
        /// The size.
        size: u64,
        /// A root.
        one: Hash,
        /// The other root.
        other: Hash,
    },
}

/// In which way an entry or event differs from what was sequenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// The entry's bytes do not lead to the leaf hash that was stored.
    Entry,
    /// The entry's bytes are no entry.
    Unreadable,
    /// The event's bytes do not lead to the digest in the entry.
    Event,
    /// The event's bytes are those that were sequenced, but no event that this program can read.
    EventUnreadable,
    /// The event has another id than the entry.
    Id,
    /// The event has another time than the entry.
    Time,
}

impl Finding {
    /// Where in the log it stands: by this the findings of a report are ordered.
    #[must_use]
    pub fn position(&self) -> u64 {
        match self {
            Self::Missing { first: index, .. }
            | Self::Reordered { index, .. }
            | Self::Repeated { index }
            | Self::Moved { index, .. }
            | Self::Altered { index, .. }
            | Self::RootMismatch { size: index, .. }
            | Self::RootUnknown { size: index, .. }
            | Self::LeftOut { size: index }
            | Self::Forked { size: index, .. } => *index,
        }
    }
}

impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Entry => "its bytes do not have the leaf hash that was stored when it was sequenced",
            Self::Unreadable => "its bytes are no entry",
            Self::Event => "the event's bytes do not have the digest that stands in the entry",
            Self::EventUnreadable => {
                "the event was sequenced in a form that this version of Bastide cannot read"
            }
            Self::Id => "the event has another id than the entry",
            Self::Time => "the event has another time than the entry",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { first, last } if first == last => write!(f, "entry {first} is missing"),
            Self::Missing { first, last } => write!(f, "entries {first} to {last} are missing"),
            Self::Reordered { index, after } => write!(f, "entry {index} comes after entry {after}"),
            Self::Repeated { index } => write!(f, "entry {index} comes more than once"),
            Self::Moved { index, from } => write!(f, "entry {index} is the one that was sequenced as {from}"),
            Self::Altered { index, what } => write!(f, "entry {index} was altered: {what}"),
            Self::RootMismatch { size, signed, computed, since, explained } => {
                write!(
                    f,
                    "the root at size {size} is {computed}, but {signed} was signed: entries {since} to {} are not \
                     all as they were",
                    size.saturating_sub(1)
                )?;
                if *explained {
                    f.write_str("; those named as altered or moved are all there are")
                } else {
                    Ok(())
                }
            }
            Self::RootUnknown { size, index } => {
                write!(
                    f,
                    "the root at size {size} cannot be computed, because entry {index} is not in its place"
                )
            }
            Self::LeftOut { size } => write!(
                f,
                "the checkpoint of size {size} ends among entries that were left out: export again and name it"
            ),
            Self::Forked { size, one, other } => {
                write!(
                    f,
                    "two roots were signed for size {size}, {one} and {other}: the log has two histories"
                )
            }
        }
    }
}
