#![cfg(test)]
//! The agent against a server of the protocol, with real git, real shells, real walls and real containers. A program
//! that is missing fails a test; nothing is left out.

mod bench;
mod container;
mod hostile;
mod server;
mod shell;
