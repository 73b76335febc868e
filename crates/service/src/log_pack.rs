//! Logs that do not grow any more, compressed: a gzip file of many small members, each of which tells its length in its head.
//!
//! So any part can be read without what comes before it, and `zcat` reads the whole. The head's field is that of BGZF,
//! which the tools of genomics have used for this since 2008 (the SAM specification, section 4.1).

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};

/// How much of a log one member holds, in bytes: what is incompressible still fits the 16 bits of a member's length.
const MEMBER: usize = 60 * 1024;
/// The head up to the length: gzip with one extra field, `BC`, of two bytes.
const HEAD: [u8; 16] = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff, 6, 0, b'B', b'C', 2, 0];
/// The head with the length, and what follows the compressed bytes: their checksum and how many they were.
const AROUND: u64 = 18;
const TAIL: u64 = 8;

/// Compresses a log into a file that must not be there, and is on the disk when this returns.
pub(crate) fn pack(log: &Path, packed: &Path) -> io::Result<()> {
    let mut log = BufReader::with_capacity(MEMBER, File::open(log)?);
    let mut out = BufWriter::new(File::create_new(packed)?);
    loop {
        let mut plain = Vec::with_capacity(MEMBER);
        log.by_ref().take(u64::try_from(MEMBER).unwrap_or(u64::MAX)).read_to_end(&mut plain)?;
        out.write_all(&member(&plain)?)?;
        // The last member is empty: that it is there tells that nothing was cut off.
        if plain.is_empty() {
            break;
        }
    }
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

fn member(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(plain.len()), Compression::default());
    encoder.write_all(plain)?;
    let compressed = encoder.finish()?;
    let mut crc = Crc::new();
    crc.update(plain);
    let whole = u64::try_from(compressed.len()).unwrap_or(u64::MAX).saturating_add(AROUND + TAIL);
    let told = u16::try_from(whole - 1).map_err(io::Error::other)?;
    let mut member = HEAD.to_vec();
    member.extend(told.to_le_bytes());
    member.extend(compressed);
    member.extend(crc.sum().to_le_bytes());
    member.extend(crc.amount().to_le_bytes());
    Ok(member)
}

/// At most `limit` bytes of the log from `offset` on, and the log's length.
///
/// # Errors
/// When the file is none that [`pack`] wrote, or what is read of it was changed.
pub(crate) fn read(packed: &Path, offset: u64, limit: usize) -> io::Result<(Vec<u8>, u64)> {
    let mut file = File::open(packed)?;
    let end = file.metadata()?.len();
    let until = offset.saturating_add(u64::try_from(limit).unwrap_or(u64::MAX));
    let (mut at, mut length, mut wanted, mut whole) = (0, 0_u64, Vec::new(), false);
    while at < end {
        file.seek(SeekFrom::Start(at))?;
        let mut head = [0; 18];
        file.read_exact(&mut head)?;
        let Some((known, &told)) = head.split_last_chunk::<2>() else { return Err(damaged()) };
        let size = u64::from(u16::from_le_bytes(told)) + 1;
        if known != HEAD.as_slice() || size < AROUND + TAIL {
            return Err(damaged());
        }
        file.seek(SeekFrom::Start(at + size - TAIL))?;
        let mut tail = [0; 8];
        file.read_exact(&mut tail)?;
        let [a, b, c, d, e, f, g, h] = tail;
        let holds = u64::from(u32::from_le_bytes([e, f, g, h]));
        if length < until && length + holds > offset {
            file.seek(SeekFrom::Start(at + AROUND))?;
            let plain = unpacked(&mut file, size - AROUND - TAIL, holds, u32::from_le_bytes([a, b, c, d]))?;
            let from = usize::try_from(offset.saturating_sub(length)).unwrap_or(usize::MAX);
            wanted.extend(plain.get(from..).unwrap_or_default());
            wanted.truncate(limit);
        }
        length += holds;
        at += size;
        whole = holds == 0;
    }
    if whole { Ok((wanted, length)) } else { Err(damaged()) }
}

fn unpacked(file: &mut File, size: u64, holds: u64, sum: u32) -> io::Result<Vec<u8>> {
    let mut compressed = Vec::new();
    file.take(size).read_to_end(&mut compressed)?;
    let mut plain = Vec::new();
    // One byte more than there should be: a member that lies of its length is not blown up.
    DeflateDecoder::new(compressed.as_slice()).take(holds.saturating_add(1)).read_to_end(&mut plain)?;
    let mut crc = Crc::new();
    crc.update(&plain);
    let whole = u64::try_from(plain.len()) == Ok(holds) && crc.sum() == sum;
    if whole { Ok(plain) } else { Err(damaged()) }
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the compressed log is damaged")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    fn packed(plain: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let (log, packed) = (folder.path().join("step.log"), folder.path().join("step.log.gz"));
        std::fs::write(&log, plain).unwrap();
        pack(&log, &packed).unwrap();
        (folder, packed)
    }

    /// Would catch: a boundary between members that loses or repeats a byte, incompressible bytes that do not fit.
    #[test]
    fn every_part_is_that_of_the_log() {
        let strategy = (
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..3 * MEMBER),
                (0..4 * MEMBER).prop_map(|length| b"+ cargo test\n"
                    .iter()
                    .copied()
                    .cycle()
                    .take(length)
                    .collect()),
            ],
            0..4 * MEMBER,
            0..2 * MEMBER,
        );
        proptest!(ProptestConfig::with_cases(64), |((plain, offset, limit) in strategy)| {
            let (_folder, packed) = packed(&plain);
            let (part, length) = read(&packed, u64::try_from(offset).unwrap(), limit).unwrap();
            let end = plain.len().min(offset.saturating_add(limit));
            prop_assert_eq!(length, u64::try_from(plain.len()).unwrap());
            prop_assert_eq!(part.as_slice(), plain.get(offset..end).unwrap_or_default());
        });
    }

    #[test]
    fn gzip_reads_it_too() {
        let plain = "a line of a log\n".repeat(20_000);
        let (_folder, packed) = packed(plain.as_bytes());
        let read = Command::new("gzip").args(["-dc"]).arg(&packed).output().unwrap();
        assert!(read.status.success() && read.stdout == plain.as_bytes());
        assert!(std::fs::metadata(&packed).unwrap().len() * 20 < u64::try_from(plain.len()).unwrap());
    }

    #[test]
    fn what_was_damaged_is_told() {
        let (_folder, packed) = packed(b"every byte counts");
        let whole = std::fs::read(&packed).unwrap();
        for at in [0, 20, whole.len() - 30] {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x55;
            std::fs::write(&packed, bytes).unwrap();
            assert!(read(&packed, 0, 100).is_err(), "byte {at}");
        }
        // Cut between two members as well, where only the last one is missed.
        for length in [0, whole.len() / 2, whole.len() - 28] {
            std::fs::write(&packed, &whole[..length]).unwrap();
            assert!(read(&packed, 0, 100).is_err(), "{length} bytes");
        }
        proptest!(|(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
            std::fs::write(&packed, [HEAD.as_slice(), &bytes].concat()).unwrap();
            prop_assert!(read(&packed, 0, 100).is_err());
        });
    }
}
