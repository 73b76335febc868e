//! Acceptance tests: the program from outside. The tests stand in `tests/`, one file per promise.
