//! Bare repositories on disk and git's transports.
//!
//! What is here: where repositories lie, the one place that starts `git`, clones and pushes as streams of bytes,
//! the hook's question to the server, refs, browsing, commits made without a work tree, maintenance. What is not:
//! users, permissions, HTTP, SSH. Whoever calls has decided; what can only be decided when a push's objects are
//! there is asked back ([`receive_pack::receive`]).

pub mod advertisement;
pub mod blob;
mod command;
pub mod commit;
pub mod diff;
mod durability;
pub mod hook;
pub mod inflate;
pub mod lock;
pub mod ls_refs;
pub mod maintenance;
mod objects;
pub mod path;
pub mod pkt_line;
mod push_commands;
mod push_report;
pub mod receive_pack;
pub mod ref_update;
pub mod refs;
pub mod repository;
pub mod stream;
pub mod tag;
pub mod tree;
pub mod upload_pack;
pub mod write;

pub use advertisement::Protocol;
pub use command::Program;
pub use hook::{Hooks, PreReceive, Quarantine};
pub use path::RepoPath;
pub use push_commands::PushLimits;
pub use receive_pack::{Push, Verdict};
pub use ref_update::{Change, PushOutcome, RefOutcome, RefUpdate, is_forced};
pub use repository::{INTERNAL_REFS, Repositories, Repository};
pub use stream::{BodyReader, ByteStream};
pub use upload_pack::Session;
