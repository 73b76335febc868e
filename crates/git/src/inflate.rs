//! Compressed request bodies, inflated as they come, within limits: a few bytes can stand for gigabytes.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use flate2::write::MultiGzDecoder;
use tokio::io::{AsyncRead, ReadBuf};

/// How much compressed data is taken at once: what it may become is bounded by the format's ratio of about 1000.
const CHUNK: usize = 1024;

/// Up to this size any ratio is taken: short and repetitive requests compress well.
const RATIO_FREE: u64 = 1 << 20;

/// What a body may become.
#[derive(Clone, Copy, Debug)]
pub struct InflateLimits {
    /// Bytes of output.
    pub bytes: u64,
    /// Bytes of output for each byte of input, beyond the first MiB of output.
    pub ratio: u64,
}

impl Default for InflateLimits {
    fn default() -> Self {
        Self { bytes: 64 << 20, ratio: 100 }
    }
}

/// The body became more than it may. The error inside the `io::Error` that the reader gives.
#[derive(Debug, thiserror::Error)]
#[error("the compressed body is larger than allowed")]
pub struct TooMuch {
    /// In bytes.
    pub limit: u64,
}

/// A gzip stream, inflated.
pub struct Inflate<R> {
    input: R,
    decoder: Option<MultiGzDecoder<Vec<u8>>>,
    limits: InflateLimits,
    taken: u64,
    given: u64,
    ready: BytesMut,
}

impl<R: AsyncRead + Unpin> Inflate<R> {
    /// Over `input`, which is what a `Content-Encoding: gzip` body carries.
    pub fn new(input: R, limits: InflateLimits) -> Self {
        let decoder = Some(MultiGzDecoder::new(Vec::new()));
        Self { input, decoder, limits, taken: 0, given: 0, ready: BytesMut::new() }
    }

    fn inflate(&mut self, chunk: &[u8]) -> io::Result<()> {
        let Some(decoder) = self.decoder.as_mut() else { return Ok(()) };
        decoder.write_all(chunk)?;
        let output = std::mem::take(decoder.get_mut());
        self.take_output(chunk.len(), &output)
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(decoder) = self.decoder.take() {
            // Checks that the stream came to its end.
            let output = decoder.finish()?;
            self.take_output(0, &output)?;
        }
        Ok(())
    }

    fn take_output(&mut self, input: usize, output: &[u8]) -> io::Result<()> {
        self.taken = self.taken.saturating_add(u64::try_from(input).unwrap_or(u64::MAX));
        self.given = self.given.saturating_add(u64::try_from(output.len()).unwrap_or(u64::MAX));
        let by_ratio = RATIO_FREE.max(self.taken.saturating_mul(self.limits.ratio));
        if self.given > self.limits.bytes.min(by_ratio) {
            return Err(io::Error::other(TooMuch { limit: self.limits.bytes.min(by_ratio) }));
        }
        self.ready.extend_from_slice(output);
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Inflate<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while this.ready.is_empty() && this.decoder.is_some() {
            let mut bytes = [0; CHUNK];
            let mut chunk = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut this.input).poll_read(context, &mut chunk))?;
            match chunk.filled() {
                [] => this.finish()?,
                filled => this.inflate(filled)?,
            }
        }
        let length = this.ready.len().min(buffer.remaining());
        buffer.put_slice(this.ready.get(..length).unwrap_or_default());
        this.ready.advance(length);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn inflate(data: &[u8], limits: InflateLimits) -> io::Result<Vec<u8>> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut output = Vec::new();
            Inflate::new(data, limits).read_to_end(&mut output).await.map(|_| output)
        })
    }

    /// Attack: a body of a few kilobytes that becomes gigabytes.
    #[test]
    fn a_bomb_is_refused_by_size_and_by_ratio() {
        let bomb = gzip(&vec![0; 8 << 20]);
        let is_too_much = |limits| {
            let error = inflate(&bomb, limits).unwrap_err();
            error.get_ref().is_some_and(|inner| inner.is::<TooMuch>())
        };
        assert!(is_too_much(InflateLimits { bytes: 1 << 20, ratio: 100_000 }));
        assert!(is_too_much(InflateLimits { bytes: 1 << 30, ratio: 100 }));
        assert_eq!(inflate(&bomb, InflateLimits { bytes: 8 << 20, ratio: 2000 }).unwrap().len(), 8 << 20);
    }

    #[test]
    fn a_truncated_stream_is_an_error() {
        let whole = gzip(b"0032want something");
        assert!(inflate(&whole[..whole.len() - 5], InflateLimits::default()).is_err());
    }

    proptest! {
        #[test]
        fn what_was_compressed_is_read_back(data in proptest::collection::vec(any::<u8>(), 0..10_000)) {
            prop_assert_eq!(inflate(&gzip(&data), InflateLimits::default()).unwrap(), data);
        }

        #[test]
        fn arbitrary_bytes_never_panic(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = inflate(&data, InflateLimits::default());
        }
    }
}
