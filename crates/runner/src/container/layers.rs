//! What the containers of a step write outside of its folder: into their images' folders, each into a layer of its own, and
//! into volumes that their images ask for.
//!
//! Where the agent may read what lies there, the folders are measured as the step's own is. Elsewhere the engine is asked,
//! which reads all of a layer for the answer, and so is asked seldom; volumes that cannot be read are not counted then.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Engine;

/// How often the engine is asked how much lies in a layer, at the most.
const ASK: Duration = Duration::from_secs(10);
/// How long the engine may take for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where a layer lies, in the first line, if the engine has a folder for it; then the volumes.
const FOLDERS: &str = "{{with .GraphDriver}}{{.Data.UpperDir}}{{end}}\
                       {{range .Mounts}}{{if eq .Type \"volume\"}}{{\"\\n\"}}{{.Source}}{{end}}{{end}}";

/// The layers of a step's containers.
pub(crate) struct Layers {
    engine: Engine,
    step: String,
    /// By the ids of the containers.
    known: BTreeMap<String, Layer>,
}

/// What one container writes.
struct Layer {
    /// Folders of this machine.
    folders: Vec<PathBuf>,
    /// What the engine has said last, where the layer itself is none of them.
    told: Option<Told>,
}

struct Told {
    bytes: u64,
    next: Instant,
}

impl Layers {
    /// Of the containers that a step will have.
    pub(crate) fn new(engine: Engine, step: String) -> Self {
        Self { engine, step, known: BTreeMap::new() }
    }

    /// Looks which there are. Gives the folders to measure, and how many bytes lie elsewhere by the engine's word.
    pub(crate) async fn look(&mut self) -> (Vec<PathBuf>, u64) {
        // An engine that does not answer for once has not removed anything.
        if let Some(ids) = self.containers().await {
            self.known.retain(|id, _| ids.contains(id));
            for id in ids {
                if !self.known.contains_key(&id)
                    && let Some(layer) = self.found(&id).await
                {
                    self.known.insert(id, layer);
                }
            }
        }
        let mut folders = Vec::new();
        let mut bytes = 0_u64;
        for (id, layer) in &mut self.known {
            folders.extend(layer.folders.iter().cloned());
            let Some(told) = &mut layer.told else { continue };
            if told.next <= Instant::now() {
                if let Some(now) = size(&self.engine, id).await {
                    told.bytes = now;
                }
                told.next = Instant::now() + ASK;
            }
            bytes = bytes.saturating_add(told.bytes);
        }
        // Containers may share a volume.
        folders.sort();
        folders.dedup();
        (folders, bytes)
    }

    async fn containers(&self) -> Option<Vec<String>> {
        let text = answer(self.engine.listed(&self.step)).await?;
        Some(text.split_whitespace().map(str::to_owned).collect())
    }

    /// Where a container writes; nothing where it is gone meanwhile.
    async fn found(&self, id: &str) -> Option<Layer> {
        let asked = answer(self.engine.command(["container", "inspect", "--format", FOLDERS, id])).await;
        let Some(text) = asked else {
            // An engine that has other words for this knows the size all the same.
            size(&self.engine, id).await?;
            return Some(Layer { folders: Vec::new(), told: Some(Told { bytes: 0, next: Instant::now() }) });
        };
        let mut lines = text.lines().map(|line| Path::new(line.trim()));
        let upper = lines.next().filter(|path| readable(path));
        let mut folders: Vec<_> = lines.filter(|path| path.is_absolute()).map(Path::to_owned).collect();
        let told = match upper {
            Some(upper) => {
                folders.push(upper.to_owned());
                None
            }
            None => Some(Told { bytes: 0, next: Instant::now() }),
        };
        Some(Layer { folders, told })
    }
}

/// Whether all below a folder can be read: root alone reads what the users of an image have closed.
fn readable(path: &Path) -> bool {
    path.is_absolute() && rustix::process::geteuid().is_root() && path.is_dir()
}

/// How many bytes lie in a container's layer, by the engine's word.
async fn size(engine: &Engine, id: &str) -> Option<u64> {
    let format = "{{.SizeRw}}";
    let text = answer(engine.command(["container", "inspect", "--size", "--format", format, id])).await?;
    text.trim().parse().ok()
}

/// What the engine says; nothing where it fails, or says nothing for long.
async fn answer(mut command: tokio::process::Command) -> Option<String> {
    let output = timeout(PATIENCE, command.output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
