//! Named pipes between a step's shell and the agent. The agent opens both ends before anything of the step runs and
//! keeps them open: what a step puts in their place later is nobody's, and no end comes before the agent's own.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::Mutex;

use crate::workspace::Owner;

/// A named pipe.
pub(crate) struct Fifo {
    pub(crate) read: pipe::Receiver,
    write: Mutex<pipe::Sender>,
}

impl Fifo {
    /// Makes one.
    pub(crate) fn make(path: &Path, owner: Owner) -> io::Result<Self> {
        let name = CString::new(path.as_os_str().as_bytes())?;
        mknodat(CWD, name, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        owner.give(path)?;
        let mut options = pipe::OpenOptions::new();
        options.read_write(true);
        Ok(Self { read: options.open_receiver(path)?, write: Mutex::new(options.open_sender(path)?) })
    }

    /// Writes.
    pub(crate) async fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.write.lock().await.write_all(bytes).await
    }
}
