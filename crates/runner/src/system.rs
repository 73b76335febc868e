//! What differs from system to system: who may read a file, what a process and its descendants are, what a program needs in
//! its environment, how it is told to end. Everything else of this crate but containers and the sandbox, which are Linux's,
//! is the same everywhere.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::Signals;
#[cfg(unix)]
pub(crate) use unix::*;
#[cfg(windows)]
pub use windows::Signals;
#[cfg(windows)]
pub(crate) use windows::*;
