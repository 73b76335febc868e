//! The store from outside its crate, each test on both engines.

mod write;
