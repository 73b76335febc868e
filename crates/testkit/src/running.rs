//! A process beside a test.

use std::process::{Child, Command};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a process may take to end what it has begun.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is ended when this is dropped: asked first, so that it ends its own, and killed where it does not. A test
/// that fails must not hold up all that come after it.
pub struct Running(pub Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if !matches!(self.0.try_wait(), Ok(None)) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
