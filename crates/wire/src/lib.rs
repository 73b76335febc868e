//! What goes over the wire: Bitbucket's JSON shapes, its paging, error envelope and query languages, and the shapes
//! of `/api`.
//!
//! What is here: serializable types built from plain values, parsers for `q=`, `sort=`, `fields=` and paging, and
//! the conversion of the domain error. What is not: any rule about who may see a shape, any input or output, any
//! record of the store; `server` converts domain values to these types. `docs/` and the OpenAPI document are
//! generated from the schemas that they derive; those of answers must be generated for serialization
//! (`SchemaSettings::for_serialize`), or fields that always stand there would be called optional.

pub mod account;
pub mod api;
pub mod audit_export;
pub mod body;
pub mod branch_restriction;
pub mod branching_model;
pub mod commit;
pub mod commit_status;
pub mod deployment;
pub mod diffstat;
pub mod environment;
pub mod error;
pub mod fields;
pub mod format;
pub mod git_ref;
pub mod group;
pub mod links;
pub mod page;
pub mod parameters;
pub mod permission;
pub mod pipeline_cache;
pub mod pipeline_config;
pub mod pipeline_run;
pub mod pipeline_schedule;
pub mod pipeline_ssh;
pub mod pipeline_variable;
pub mod project;
pub mod query;
pub mod report;
pub mod repository;
pub mod runner;
pub mod scope_header;
pub mod sort;
pub mod source;
pub mod test_report;
pub mod workspace;

pub use error::{Envelope, from_error};
pub use fields::Selection;
pub use format::{Braced, DateTime};
pub use links::{Base, Link};
pub use page::{Page, PageRequest, Position, Total};
pub use parameters::Parameters;
pub use query::{Expression, FieldKind, Typed};
pub use sort::Sort;
