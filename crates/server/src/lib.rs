//! The faces of Bastide: the route table, the REST interfaces, git over HTTPS, the command line. It names neither
//! `store` nor `git`: what a face does to the house goes through `service`.

pub mod api;
pub mod app;
pub mod cli;
pub mod git_http;
pub mod http;
pub mod metrics;
pub mod openapi;
pub mod pages;
pub mod rest;
pub mod route;
pub mod tlog;
pub mod tls;
