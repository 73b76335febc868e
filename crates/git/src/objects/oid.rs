//! An object's name as bytes, for where a hundred thousand of them go by.

use std::io;

use model::ObjectId;

use super::malformed;

/// A SHA-1 object name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid([u8; Oid::LENGTH]);

impl Oid {
    /// In bytes.
    pub(crate) const LENGTH: usize = 20;

    /// In hexadecimal digits.
    pub(crate) const DIGITS: usize = 40;

    /// No object.
    pub(crate) const ZERO: Self = Self([0; Self::LENGTH]);

    /// From its digits, of either case as git reads them.
    pub(crate) fn parse(digits: &[u8]) -> Option<Self> {
        let mut bytes = [0; Self::LENGTH];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// From the digits that `text` begins with, and what stands behind them.
    pub(crate) fn parse_front(text: &[u8]) -> Option<(Self, &[u8])> {
        let (digits, rest) = text.split_at_checked(Self::DIGITS)?;
        Some((Self::parse(digits)?, rest))
    }

    /// From its bytes.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// From a name that was read elsewhere; `None` for one of another kind of repository.
    pub(crate) fn of(id: &ObjectId) -> Option<Self> {
        Self::parse(id.as_str().as_bytes())
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Whether it stands for "none".
    pub(crate) fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Its digits, in lower case.
    pub(crate) fn digits(&self) -> [u8; Self::DIGITS] {
        let mut digits = [0; Self::DIGITS];
        // The lengths fit, so that nothing can fail.
        let _ = hex::encode_to_slice(self.0, &mut digits);
        digits
    }

    /// As a name that others read.
    ///
    /// # Errors
    /// Never: its digits are always a name.
    pub(crate) fn id(&self) -> io::Result<ObjectId> {
        let digits = self.digits();
        let digits = std::str::from_utf8(&digits).ok().and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| malformed("an object's name has no digits"))
    }
}
