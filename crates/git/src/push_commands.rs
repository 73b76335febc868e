//! The head of a push: which refs shall move, what the client can do, its push options. Read before git sees any
//! of it, so that what is malformed or without measure never starts a process.
//!
//! The pack that follows is git's to read.

use std::io;

use bytes::{Bytes, BytesMut};
use model::{Error, Result};
use tokio::io::AsyncRead;

use crate::pkt_line::{FLUSH, Packet, PacketReader, write_data};
use crate::ref_update::RefUpdate;

/// What one push may ask for.
#[derive(Clone, Copy, Debug)]
pub struct PushLimits {
    /// How many refs it may move.
    pub refs: usize,
    /// How many bytes its options may have together; kept below what a process's environment takes.
    pub option_bytes: usize,
    /// How many bytes its pack may have.
    pub pack_bytes: u64,
}

impl Default for PushLimits {
    fn default() -> Self {
        Self { refs: 20_000, option_bytes: 64 * 1024, pack_bytes: 8 << 30 }
    }
}

/// The most options, each of which costs a variable of the environment.
const MOST_OPTIONS: usize = 256;

/// The head of a push, understood, and its bytes for git.
#[derive(Debug)]
pub(crate) struct PushCommands {
    /// What shall move; empty when the client found nothing to do.
    pub(crate) updates: Vec<RefUpdate>,
    /// Whether the client reads the side band.
    pub(crate) side_band: bool,
    /// The same, as packets.
    pub(crate) bytes: Vec<u8>,
}

/// Reads the head; gives what follows as well.
pub(crate) async fn read<R: AsyncRead + Unpin>(
    input: R,
    limits: &PushLimits,
) -> Result<(PushCommands, BytesMut, R)> {
    let mut reader = PacketReader::new(input);
    let mut head = PushCommands { updates: Vec::new(), side_band: false, bytes: Vec::new() };
    let mut capabilities = String::new();
    let mut lines = 0_usize;
    while let Some(line) = next_line(&mut reader).await? {
        lines += 1;
        if lines > limits.refs {
            return Err(Error::invalid(format!(
                "a push may name at most {} refs: push in parts",
                limits.refs
            )));
        }
        write_data(&mut head.bytes, &line);
        if line.starts_with(b"shallow ") {
            continue;
        }
        if line.starts_with(b"push-cert") {
            return Err(Error::invalid("signed pushes are not taken here: push without `--signed`"));
        }
        let (command, rest) = split_capabilities(&line);
        if head.updates.is_empty() {
            String::from_utf8_lossy(rest).trim().clone_into(&mut capabilities);
        }
        head.updates.push(parse_command(command)?);
    }
    head.bytes.extend_from_slice(FLUSH);
    let has = |wanted: &str| capabilities.split(' ').any(|capability| capability == wanted);
    head.side_band = has("side-band-64k");
    if has("push-options") && !head.updates.is_empty() {
        read_options(&mut reader, limits, &mut head.bytes).await?;
    }
    let (input, rest) = reader.into_parts();
    Ok((head, rest, input))
}

/// The next line, or `None` at the flush that ends the section. A client that has nothing to push may just go.
async fn next_line<R: AsyncRead + Unpin>(reader: &mut PacketReader<R>) -> Result<Option<Bytes>> {
    match reader.next().await.map_err(unreadable)? {
        Some(Packet::Data(line)) => Ok(Some(line)),
        Some(Packet::Flush) | None => Ok(None),
        Some(Packet::Delimiter | Packet::ResponseEnd) => Err(malformed()),
    }
}

async fn read_options<R: AsyncRead + Unpin>(
    reader: &mut PacketReader<R>,
    limits: &PushLimits,
    bytes: &mut Vec<u8>,
) -> Result<()> {
    let (mut count, mut total) = (0_usize, 0_usize);
    while let Some(line) = next_line(reader).await? {
        count += 1;
        total += line.len();
        if count > MOST_OPTIONS || total > limits.option_bytes {
            return Err(Error::invalid("the push options are too many or too long: shorten them"));
        }
        if line.contains(&0) {
            return Err(Error::invalid("a push option contains a NUL byte: leave it out"));
        }
        write_data(bytes, &line);
    }
    bytes.extend_from_slice(FLUSH);
    Ok(())
}

fn split_capabilities(line: &Bytes) -> (&[u8], &[u8]) {
    let mut parts = line.splitn(2, |b| *b == 0);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

fn parse_command(line: &[u8]) -> Result<RefUpdate> {
    let text = std::str::from_utf8(line.strip_suffix(b"\n").unwrap_or(line))
        .map_err(|_| Error::invalid("a ref's name is not UTF-8: rename it"))?;
    let mut parts = text.splitn(3, ' ');
    let (Some(old), Some(new), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed());
    };
    let name = name.parse().map_err(|bad| Error::invalid(format!("`{}`: {bad}", name.escape_debug())))?;
    let old = old.parse().map_err(|_| malformed())?;
    let new = new.parse().map_err(|_| malformed())?;
    Ok(RefUpdate { old, new, name })
}

fn malformed() -> Error {
    Error::invalid("the request is not a push as git sends it")
}

/// What a failed read of the client's bytes means: limits and malformed bytes are the client's fault.
pub(crate) fn unreadable(error: io::Error) -> Error {
    if let Some(exceeded) = error.get_ref().and_then(|inner| inner.downcast_ref::<crate::inflate::TooMuch>())
    {
        return Error::TooLarge { limit: exceeded.limit };
    }
    Error::invalid(format!("the request could not be read: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(bytes: &[u8]) -> Result<(PushCommands, BytesMut)> {
        let limits = PushLimits { refs: 3, option_bytes: 100, pack_bytes: 1000 };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read(bytes, &limits)).map(|(head, rest, _)| (head, rest))
    }

    fn lines(lines: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            write_data(&mut bytes, line);
        }
        bytes.extend_from_slice(FLUSH);
        bytes
    }

    fn command(name: &str, capabilities: &str) -> Vec<u8> {
        format!("{} {} {name}\0{capabilities}", "0".repeat(40), "a".repeat(40)).into_bytes()
    }

    #[test]
    fn the_head_is_understood_and_given_on_unchanged() {
        let mut bytes = lines(&[&command("refs/heads/main", " report-status side-band-64k push-options")]);
        bytes.extend(lines(&[b"ci.skip"]));
        let whole = bytes.clone();
        bytes.extend_from_slice(b"PACK....");
        let (head, rest) = head(&bytes).unwrap();
        assert!(head.side_band);
        assert_eq!((head.updates.len(), head.updates[0].name.as_str()), (1, "refs/heads/main"));
        assert_eq!((head.bytes, &rest[..]), (whole, &b"PACK...."[..]));
    }

    /// Attack: ref names that are options, climb, or carry a second line or capability with them.
    #[test]
    fn hostile_names_and_options_are_refused_before_git_starts() {
        for name in ["--exec=id", "refs/heads/a\nb", "refs/heads/../../x", "HEAD", "refs/heads/a b"] {
            assert!(matches!(head(&lines(&[&command(name, "")])), Err(Error::Invalid { .. })), "{name}");
        }
        let with_option = |option: &[u8]| {
            let mut bytes = lines(&[&command("refs/heads/main", " push-options")]);
            bytes.extend(lines(&[option]));
            head(&bytes)
        };
        assert!(with_option(&[b'x'; 101]).is_err(), "huge");
        assert!(with_option(b"a\0b").is_err(), "NUL");
        for lawful in [&b"a;b"[..], b"a\nb=c", b"\xff\xfe", b"="] {
            assert!(with_option(lawful).is_ok(), "carried as bytes, never as text");
        }
    }

    /// Attack: a push that never ends naming refs.
    #[test]
    fn more_refs_than_the_limit_are_refused() {
        let line = command("refs/heads/a", "");
        assert!(head(&lines(&[&line, &line, &line])).is_ok());
        assert!(head(&lines(&[&line, &line, &line, &line])).is_err());
    }

    #[test]
    fn certificates_and_version_two_are_refused() {
        assert!(head(&lines(&[b"push-cert\0 side-band-64k"])).is_err());
        assert!(head(b"0014command=ls-refs\n00010000").is_err());
        assert!(head(b"0003").is_err() && head(b"00").is_err());
        assert!(head(b"0000").unwrap().0.updates.is_empty());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = head(&bytes);
            let _ = head(&lines(&[&bytes]));
        }
    }
}
