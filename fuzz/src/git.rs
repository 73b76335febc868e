//! Targets over `git`: what clients and hooks send.

use git::pkt_line::Decoder;

/// Packets come out the same, however the bytes are cut on their way.
pub fn pkt_line(data: &[u8]) {
    let whole = packets(std::iter::once(data));
    let pieces = packets(data.chunks(3));
    assert_eq!(whole, pieces);
}

/// Whose work a request is does not depend on how its bytes are cut on their way.
pub fn ls_refs(data: &[u8]) {
    let whole = git::ls_refs::is_for_us(std::iter::once(data));
    let pieces = git::ls_refs::is_for_us(data.chunks(3));
    assert_eq!(whole, pieces);
}

/// What a decoder gives: each packet in its `Debug` form, and how it ended.
fn packets<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.packet() {
                Ok(Some(packet)) => found.push(format!("{packet:?}")),
                Ok(None) => break,
                Err(error) => {
                    found.push(error.to_string());
                    return found;
                }
            }
        }
    }
    found
}
