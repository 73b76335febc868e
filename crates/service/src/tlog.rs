//! The ledger as an outsider fetches it: a signed checkpoint and tiles (C2SP tlog-checkpoint and tlog-tiles).
//!
//! An entry holds an event's id, its time and the hash of its bytes: who did what stands in none. But how many events
//! there are, and when, is not everybody's to know; so the ledger is for those who may read the trail, until the
//! operator opens it to all.

use ledger::Tile;
use model::{Error, Result, act};
use store::ledger_tile::Found;

use crate::{Caller, Service};

impl Service {
    /// Whether everybody may read the ledger.
    #[must_use]
    pub fn ledger_is_public(&self) -> bool {
        self.settings.public_ledger
    }

    fn may_read_ledger(&self, caller: &Caller) -> Result<()> {
        match self.settings.public_ledger {
            true => Ok(()),
            false => self.check(caller, act::AuditRead, &self.instance_ground()),
        }
    }

    /// The newest signed checkpoint, as a note that an outsider can keep and verify.
    pub async fn ledger_checkpoint(&self, caller: &Caller) -> Result<String> {
        self.may_read_ledger(caller)?;
        let note = self.store.read(store::sequence::checkpoint).await?;
        note.ok_or_else(|| {
            Error::not_found("a checkpoint: the first is signed within a second of the first event,")
        })
    }

    /// The key that signs checkpoints, as verifiers write it.
    pub fn ledger_key(&self, caller: &Caller) -> Result<String> {
        self.may_read_ledger(caller)?;
        Ok(self.ledger_verifier()?.to_string())
    }

    /// The bytes of a tile by its path, such as `tile/0/000.p/5` or `tile/entries/000`, and whether it is full.
    pub async fn ledger_tile(&self, caller: &Caller, path: &str) -> Result<(Vec<u8>, bool)> {
        self.may_read_ledger(caller)?;
        let missing = || Error::not_found("this tile");
        let tile: Tile = path.parse().map_err(|_| missing())?;
        let full = tile.width() == ledger::tile::FULL_WIDTH;
        for _ in 0..2 {
            match self.store.read(move |reader| store::ledger_tile::tile(reader, tile)).await? {
                Found::Bytes(bytes) => return Ok((bytes, full)),
                Found::Beyond => return Err(missing()),
                Found::Unsealed => while self.store.seal_tiles().await? > 0 {},
            }
        }
        Err(Error::internal("a tile of the ledger cannot be sealed"))
    }
}
