//! Git's framing of lines: four hexadecimal digits of length, then the bytes; and the side band that multiplexes
//! data, progress and errors over it.
//!
//! Framing only: what the lines mean is read elsewhere.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest packet, its four length digits included.
pub const LONGEST_PACKET: usize = 65520;

/// The most data that one packet carries.
pub const LONGEST_DATA: usize = LONGEST_PACKET - 4;

/// The flush packet.
pub const FLUSH: &[u8] = b"0000";

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// `0000`.
    Flush,
    /// `0001`.
    Delimiter,
    /// `0002`.
    ResponseEnd,
    /// Bytes, perhaps none.
    Data(Bytes),
}

/// Why bytes are not packets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The four digits are not hexadecimal, or a length that no packet has.
    #[error("a packet's length is not one that git writes")]
    Length,
    /// The data ended inside a packet.
    #[error("the data ends in the middle of a packet")]
    Truncated,
}

/// Takes bytes as they come and gives packets. Holds at most one packet's worth beyond what was fed.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

impl Decoder {
    /// More bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next packet, if it has arrived whole.
    ///
    /// # Errors
    /// When the next four bytes are no length. The decoder is of no further use then.
    pub fn packet(&mut self) -> Result<Option<Packet>, Malformed> {
        let Some(digits) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = parse_length(*digits)?;
        let marker = match length {
            0 => Some(Packet::Flush),
            1 => Some(Packet::Delimiter),
            2 => Some(Packet::ResponseEnd),
            _ => None,
        };
        if let Some(packet) = marker {
            self.buffer.advance(4);
            return Ok(Some(packet));
        }
        if self.buffer.len() < length {
            return Ok(None);
        }
        let mut whole = self.buffer.split_to(length);
        whole.advance(4);
        Ok(Some(Packet::Data(whole.freeze())))
    }

    /// Whether nothing is left over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// What was fed and is not part of a packet given out.
    #[must_use]
    pub fn into_rest(self) -> BytesMut {
        self.buffer
    }
}

fn parse_length(digits: [u8; 4]) -> Result<usize, Malformed> {
    let mut length = 0_usize;
    for digit in digits {
        let value = char::from(digit).to_digit(16).ok_or(Malformed::Length)?;
        length = length * 16 + usize::try_from(value).map_err(|_| Malformed::Length)?;
    }
    if length == 3 || length > LONGEST_PACKET { Err(Malformed::Length) } else { Ok(length) }
}

/// Reads packets from a stream.
#[derive(Debug)]
pub struct PacketReader<R> {
    reader: R,
    decoder: Decoder,
    chunk: BytesMut,
}

impl<R: AsyncRead + Unpin> PacketReader<R> {
    /// Over `reader`.
    pub fn new(reader: R) -> Self {
        Self { reader, decoder: Decoder::default(), chunk: BytesMut::new() }
    }

    /// The next packet; `None` at an end between packets. May be cancelled between two polls without loss.
    ///
    /// # Errors
    /// The stream's own, and `InvalidData` with [`Malformed`] inside.
    pub async fn next(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.decoder.packet().map_err(invalid)? {
                return Ok(Some(packet));
            }
            self.chunk.clear();
            self.chunk.reserve(LONGEST_PACKET);
            if self.reader.read_buf(&mut self.chunk).await? == 0 {
                return if self.decoder.is_empty() { Ok(None) } else { Err(invalid(Malformed::Truncated)) };
            }
            self.decoder.feed(&self.chunk);
        }
    }

    /// The stream, and what was read from it beyond the last packet.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.reader, self.decoder.into_rest())
    }
}

fn invalid(error: Malformed) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Appends one packet; `data` longer than a packet takes several.
pub fn write_data(to: &mut Vec<u8>, data: &[u8]) {
    let mut chunks = data.chunks(LONGEST_DATA);
    // No data at all is a packet too, an empty one.
    let mut next = Some(chunks.next().unwrap_or_default());
    while let Some(chunk) = next {
        to.extend_from_slice(format!("{:04x}", chunk.len() + 4).as_bytes());
        to.extend_from_slice(chunk);
        next = chunks.next();
    }
}

/// Which of the side band's three bands a packet is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Band {
    /// What the command answers.
    Data = 1,
    /// What people read, shown as `remote: …`.
    Progress = 2,
    /// The last words before the connection ends.
    Error = 3,
}

impl Band {
    /// The band of a packet's data, and the data without its first byte.
    #[must_use]
    pub fn split(data: &Bytes) -> Option<(Self, Bytes)> {
        let band = match data.first()? {
            1 => Self::Data,
            2 => Self::Progress,
            3 => Self::Error,
            _ => return None,
        };
        Some((band, data.slice(1..)))
    }

    /// Appends `data` on this band, in as many packets as it needs.
    pub fn write(self, to: &mut Vec<u8>, data: &[u8]) {
        let digit = match self {
            Self::Data => 1,
            Self::Progress => 2,
            Self::Error => 3,
        };
        for chunk in data.chunks(LONGEST_DATA - 1) {
            to.extend_from_slice(format!("{:04x}", chunk.len() + 5).as_bytes());
            to.push(digit);
            to.extend_from_slice(chunk);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(bytes: &[u8]) -> Result<Vec<Packet>, Malformed> {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = decoder.packet()? {
            packets.push(packet);
        }
        if decoder.is_empty() { Ok(packets) } else { Err(Malformed::Truncated) }
    }

    /// Attack: lengths that make a parser read backwards, loop, or reserve too much.
    #[test]
    fn lengths_that_git_never_writes_are_refused() {
        for bad in ["0003", "fff1", "fff5", "ffff", "00 5", "+005", "-001", "0x10", "zzzz", "\0\0\0\0"] {
            assert_eq!(decode(bad.as_bytes()), Err(Malformed::Length), "{bad}");
        }
        for short in ["0", "000", "0005", "0010abc"] {
            assert_eq!(decode(short.as_bytes()), Err(Malformed::Truncated), "{short}");
        }
        assert_eq!(decode(b"0004"), Ok(vec![Packet::Data(Bytes::new())]));
        assert_eq!(decode(b"000000010002"), Ok(vec![Packet::Flush, Packet::Delimiter, Packet::ResponseEnd]));
        let mut longest = Vec::new();
        write_data(&mut longest, &vec![b'x'; LONGEST_DATA]);
        assert!(longest.starts_with(b"fff0") && decode(&longest).is_ok());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn digits_never_panic(text in "[0-9a-f]{0,64}") {
            let _ = decode(text.as_bytes());
        }

        /// Whatever is written is read back, however the bytes are cut on their way.
        #[test]
        fn what_is_written_is_read_back(data in proptest::collection::vec(any::<u8>(), 0..600), copies in 1..120_usize, cut in 1..4096_usize) {
            let data = data.repeat(copies);
            let mut bytes = Vec::new();
            write_data(&mut bytes, &data);
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for chunk in bytes.chunks(cut) {
                decoder.feed(chunk);
                while let Some(packet) = decoder.packet().unwrap() {
                    let Packet::Data(part) = packet else { panic!("only data was written") };
                    read.extend_from_slice(&part);
                }
            }
            prop_assert!(decoder.is_empty());
            prop_assert_eq!(read, data);
        }

        #[test]
        fn a_band_is_read_back(data in proptest::collection::vec(any::<u8>(), 1..600), copies in 1..120_usize) {
            let data = data.repeat(copies);
            let mut bytes = Vec::new();
            Band::Progress.write(&mut bytes, &data);
            let mut read = Vec::new();
            for packet in decode(&bytes).unwrap() {
                let Packet::Data(part) = packet else { panic!("only data was written") };
                let (band, part) = Band::split(&part).unwrap();
                prop_assert_eq!(band, Band::Progress);
                read.extend_from_slice(&part);
            }
            prop_assert_eq!(read, data);
        }
    }
}
