//! The ledger as tiles: what an outsider fetches to check it (C2SP tlog-tiles). Entries and the hashes of leaves are
//! read from the ledger itself; above them stands the root of each full tile, kept since a tile far up would otherwise
//! be hashed anew from millions of leaves.

use ledger::tile::{Level, bundle};
use ledger::{Entry, Hash, Tile, root};
use model::{Error, Result};

use crate::bookkeeping::{Bookkeeping, Table};
use crate::params;
use crate::reader::Reader;
use crate::store::Store;

/// The width of a full tile.
const WIDTH: u64 = ledger::tile::FULL_WIDTH as u64;
/// Tiles that one transaction seals, so that no write waits long behind it.
const BATCH: u64 = 64;

impl Store {
    /// Keeps the roots of tiles that have become full. To be called again until it tells none.
    pub async fn seal_tiles(&self) -> Result<u64> {
        let wanted = self.read(|reader| next_unsealed(reader).map(|next| next.is_some())).await?;
        if !wanted {
            return Ok(0);
        }
        self.keep(|books| {
            let mut sealed = 0;
            while sealed < BATCH {
                let Some((level, index)) = next_unsealed(books)? else { break };
                seal(books, level, index)?;
                sealed = sealed.saturating_add(1);
            }
            Ok(sealed)
        })
        .await
    }
}

fn number(value: u64) -> Result<i64> {
    i64::try_from(value).map_err(Error::internal)
}

/// The lowest full tile whose root is not kept yet.
fn next_unsealed(reader: &mut Reader<'_>) -> Result<Option<(u8, u64)>> {
    let size = size(reader)?;
    for level in 0..=7_u8 {
        let full = size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
        if full == 0 {
            break;
        }
        let last = reader.one(
            "SELECT idx FROM ledger_tile WHERE level = $1 ORDER BY idx DESC LIMIT 1",
            params![i64::from(level)],
        )?;
        let next = last.map_or(Ok(0), |row| row.get::<u64>("idx").map(|idx| idx.saturating_add(1)))?;
        if next < full {
            return Ok(Some((level, next)));
        }
    }
    Ok(None)
}

fn seal(books: &mut Bookkeeping<'_>, level: u8, index: u64) -> Result<()> {
    let hashes = hashes(books, level, index, WIDTH)?;
    let hashes = hashes.ok_or_else(|| Error::internal("the ledger lacks what a full tile is made of"))?;
    let root = root(&hashes);
    books.execute(
        Table::LedgerTile,
        "INSERT INTO ledger_tile (level, idx, hash) VALUES ($1, $2, $3) ON CONFLICT (level, idx) DO NOTHING",
        params![i64::from(level), number(index)?, root.as_bytes()],
    )?;
    Ok(())
}

/// The first hashes of a tile; none where they are not all there.
fn hashes(reader: &mut Reader<'_>, level: u8, index: u64, width: u64) -> Result<Option<Vec<Hash>>> {
    let first = number(index.checked_mul(WIDTH).ok_or_else(|| Error::internal("no tile is that far"))?)?;
    let end = first.saturating_add(number(width)?);
    let rows = match level.checked_sub(1) {
        None => reader.all(
            "SELECT leaf AS hash FROM ledger_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx",
            params![first, end],
        )?,
        Some(below) => reader.all(
            "SELECT hash FROM ledger_tile WHERE level = $1 AND idx >= $2 AND idx < $3 ORDER BY idx",
            params![i64::from(below), first, end],
        )?,
    };
    if u64::try_from(rows.len()).ok() != Some(width) {
        return Ok(None);
    }
    let hash = |row: &crate::Row| Ok(Hash::from_slice(&row.get::<Vec<u8>>("hash")?)?);
    rows.iter().map(hash).collect::<Result<_>>().map(Some)
}

/// How many entries the newest signed checkpoint reaches over.
pub fn size(reader: &mut Reader<'_>) -> Result<u64> {
    let row = reader.one("SELECT size FROM ledger_checkpoint ORDER BY size DESC LIMIT 1", &[])?;
    row.map_or(Ok(0), |row| row.get("size"))
}

/// What becomes of asking for a tile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// The signed tree does not reach so far.
    Beyond,
    /// It is in the tree, but tiles below it are to be sealed first.
    Unsealed,
}

/// The bytes of a tile of the signed tree.
pub fn tile(reader: &mut Reader<'_>, tile: Tile) -> Result<Found> {
    let whole = Tile::of_tree(tile.level(), tile.index(), size(reader)?);
    if whole.is_none_or(|whole| whole.width() < tile.width()) {
        return Ok(Found::Beyond);
    }
    let width = u64::from(tile.width());
    match tile.level() {
        Level::Entries => {
            let leaves = tile.leaves();
            let rows = reader.all(
                "SELECT entry FROM ledger_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx",
                params![number(leaves.start)?, number(leaves.end)?],
            )?;
            let entry = |row: &crate::Row| Ok(Entry::from_bytes(&row.get::<Vec<u8>>("entry")?)?);
            let entries = rows.iter().map(entry).collect::<Result<Vec<_>>>()?;
            match u64::try_from(entries.len()).ok() == Some(width) {
                true => Ok(Found::Bytes(bundle(&entries))),
                false => Err(Error::internal("an entry of the ledger is missing")),
            }
        }
        Level::Hashes(level) => Ok(match hashes(reader, level, tile.index(), width)? {
            Some(hashes) => Found::Bytes(hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()),
            None => Found::Unsealed,
        }),
    }
}

/// The root that is kept of a full tile, if it is.
pub fn sealed(reader: &mut Reader<'_>, level: u8, index: u64) -> Result<Option<Vec<u8>>> {
    let row = reader.one(
        "SELECT hash FROM ledger_tile WHERE level = $1 AND idx = $2",
        params![i64::from(level), number(index)?],
    )?;
    row.map(|row| row.get("hash")).transpose()
}

/// How many roots are kept.
pub fn count(reader: &mut Reader<'_>) -> Result<i64> {
    reader.count("SELECT count(*) FROM ledger_tile", &[])
}
