//! No containers: they are run on Linux alone.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use pipeline::image::Image;
use pipeline::plan::PlannedStep;
use pipeline::protocol::Assignment;

use crate::agent::Agent;
use crate::aws::Aws;
use crate::lease::Lease;
use crate::limits::Limits;
use crate::local::{Answering, Local};
use crate::log::Log;
use crate::process::Ended;
use crate::script::{Inside, pipes};
use crate::settings::Settings;
use crate::variables::Environment;
use crate::workspace::{Owner, Workspace};

const WHY: &str = "it needs podman or docker, which runners use on Linux alone";
/// Where a step would find its daemon.
pub(crate) const DOCKER_HOST: &str = "";

/// A program that runs containers; there is none.
#[derive(Clone, Debug)]
pub(crate) enum Engine {}

impl Engine {
    pub(crate) async fn probe(_directory: &Path) -> Option<Self> {
        None
    }

    pub(crate) fn title(&self) -> String {
        match *self {}
    }

    pub(crate) async fn sweep(&self) {
        match *self {}
    }

    pub(crate) async fn remove(&self, _step: &str) {
        match *self {}
    }
}

/// What containers write; there are none.
pub(crate) enum Layers {}

impl Layers {
    pub(crate) fn new(engine: Engine, _step: String) -> Self {
        match engine {}
    }

    pub(crate) async fn look(&mut self) -> (Vec<PathBuf>, u64) {
        match *self {}
    }
}

/// No step has one beside it.
pub(crate) fn daemon(_settings: &Settings, _plan: &PlannedStep) -> Option<Image> {
    None
}

pub(crate) fn owner(_image: &Image) -> Owner {
    Owner::default()
}

/// Nothing is anywhere.
pub(crate) fn inside() -> Inside {
    let nowhere = String::new;
    Inside { build: nowhere(), tmp: nowhere(), control: nowhere(), script: nowhere(), ssh: nowhere() }
}

pub(crate) fn cache(_workspace: &Workspace, _path: &str) -> Option<PathBuf> {
    None
}

pub(crate) fn answer(_local: Arc<Local>, _workspace: &Workspace) -> io::Result<(u16, Answering)> {
    Err(io::Error::new(io::ErrorKind::Unsupported, WHY))
}

/// A step that asks for an image.
#[expect(dead_code, reason = "the step that is refused is made as on Linux")]
pub(crate) struct Container<'a> {
    pub(crate) engine: Option<&'a Engine>,
    pub(crate) agent: &'a Agent,
    pub(crate) name: &'a str,
    pub(crate) assignment: &'a Assignment,
    pub(crate) workspace: &'a Workspace,
    pub(crate) inside: &'a Inside,
    pub(crate) environment: &'a Environment,
    pub(crate) log: &'a Log,
    pub(crate) lease: &'a Lease,
    pub(crate) aws: Option<&'a Arc<Aws>>,
    pub(crate) daemon: Option<Image>,
    pub(crate) address: Arc<OnceLock<String>>,
}

impl Container<'_> {
    pub(crate) async fn run(&self, _limits: Limits) -> Result<Ended, String> {
        Err(WHY.to_owned())
    }

    /// Refuses a step with pipes, which are containers.
    pub(crate) fn answer_pipes(&self) -> Result<(), String> {
        match pipes(&self.assignment.plan).is_empty() {
            true => Ok(()),
            false => Err(format!("a pipe of its script cannot be run: {WHY}")),
        }
    }
}
