//! acceptance tests
