//! Envelope encryption, signing keys and their rotation.
//!
//! One [`MasterKey`] lies outside of the database, in a file or the environment. It wraps the data keys of the
//! [`Keyring`], which seal what the database keeps secret, the log's [`SigningKey`] and the [`TokenKey`]s of workspaces
//! among it; and from it the keys of the [`Authenticator`] are derived. What is not here: any storage but the master
//! key's file. Wrapped keys and sealed bytes are values that the store keeps.
//!
//! Nothing that holds a key can be shown, compared or serialized. Key bytes are wiped from memory when dropped; what
//! the cryptographic library expands from them is left to it.

pub mod authenticator;
pub mod error;
pub mod key_id;
pub mod master_key;
pub mod ring;
pub mod sealed;
pub mod secret_bytes;
pub mod signing_key;
pub mod ssh_key;
pub mod token_key;

pub use authenticator::Authenticator;
pub use error::{Error, Result};
pub use key_id::KeyId;
pub use master_key::MasterKey;
pub use ring::{KeyState, Keyring, WrappedKey};
pub use secret_bytes::SecretBytes;
pub use signing_key::SigningKey;
pub use ssh_key::{LONGEST_SSH_KEY, SshKeyError, SshPrivateKey, SshPublicKey};
pub use token_key::{TokenAlgorithm, TokenKey};

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Display};

    use super::*;

    /// Two implementations fit a type that can be shown, so that naming one of them for it does not compile.
    trait AmbiguousIfShown<Which> {
        fn is_not_shown() {}
    }
    struct WithDebug;
    struct WithDisplay;
    impl<T: ?Sized> AmbiguousIfShown<()> for T {}
    impl<T: ?Sized + Debug> AmbiguousIfShown<WithDebug> for T {}
    impl<T: ?Sized + Display> AmbiguousIfShown<WithDisplay> for T {}

    /// A key in a log line is a key lost: this does not compile when a type that holds one can be shown.
    #[test]
    fn what_holds_a_key_cannot_be_shown() {
        <MasterKey as AmbiguousIfShown<_>>::is_not_shown();
        <Keyring as AmbiguousIfShown<_>>::is_not_shown();
        <SigningKey as AmbiguousIfShown<_>>::is_not_shown();
        <TokenKey as AmbiguousIfShown<_>>::is_not_shown();
        <SshPrivateKey as AmbiguousIfShown<_>>::is_not_shown();
        <Authenticator as AmbiguousIfShown<_>>::is_not_shown();
        <SecretBytes as AmbiguousIfShown<_>>::is_not_shown();
    }
}
