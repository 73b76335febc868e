//! What a client asks for: the lines of a request of protocol version 2, up to where it is plain whose work it is.
//!
//! Only requests that git too would answer are taken; all others (other commands, mistakes, very long ones) are git's,
//! which says in its own words what is wrong.

use super::name::Prefixes;
use crate::pkt_line::{Decoder, Packet};

/// Longer requests are git's. More than three thousand prefixes fit; git ignores them all from 65536 on.
pub(super) const LONGEST_REQUEST: usize = 64 * 1024;

/// A whole request for refs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Also what tags point at.
    pub(super) peel: bool,
    /// Also what symbolic refs stand for.
    pub(super) symrefs: bool,
    /// Also a `HEAD` whose branch does not exist.
    pub(super) unborn: bool,
    pub(super) prefixes: Prefixes,
}

/// What is known of a request by now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing yet.
    More,
    /// It is for git.
    Git,
    /// It is whole, and for us.
    Whole(Request),
}

/// Takes a request as it comes.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    decoder: Decoder,
    taken: usize,
    in_arguments: bool,
    command: bool,
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Vec<Vec<u8>>,
}

impl Parser {
    /// More bytes. To be asked no more after another answer than [`Step::More`].
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Step {
        self.taken = self.taken.saturating_add(bytes.len());
        self.decoder.feed(bytes);
        loop {
            let whole = match self.decoder.packet() {
                Ok(Some(Packet::Data(line))) => {
                    self.line(line.strip_suffix(b"\n").unwrap_or(&line)).then_some(false)
                }
                Ok(Some(Packet::Delimiter)) if !self.in_arguments => {
                    self.in_arguments = true;
                    Some(false)
                }
                Ok(Some(Packet::Flush)) if self.command => Some(true),
                Ok(None) if self.taken < LONGEST_REQUEST => return Step::More,
                _ => None,
            };
            match whole {
                Some(false) => {}
                Some(true) => return Step::Whole(self.request()),
                None => return Step::Git,
            }
        }
    }

    /// Takes a line; false when it is not for us.
    fn line(&mut self, line: &[u8]) -> bool {
        if line.contains(&0) {
            return false;
        }
        if !self.in_arguments {
            return match line {
                b"command=ls-refs" if !self.command => {
                    self.command = true;
                    true
                }
                b"object-format=sha1" => true,
                _ => line.starts_with(b"agent=") || line.starts_with(b"server-option="),
            };
        }
        match line {
            b"peel" => self.peel = true,
            b"symrefs" => self.symrefs = true,
            b"unborn" => self.unborn = true,
            _ => match line.strip_prefix(b"ref-prefix ") {
                Some(prefix) => self.prefixes.push(prefix.to_vec()),
                None => return false,
            },
        }
        true
    }

    fn request(&mut self) -> Request {
        Request {
            peel: self.peel,
            symrefs: self.symrefs,
            unborn: self.unborn,
            prefixes: Prefixes::new(std::mem::take(&mut self.prefixes)),
        }
    }
}

/// For the fuzz target: whether a request is for us. Must not depend on how the bytes are cut.
#[must_use]
pub fn is_for_us<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<bool> {
    let mut parser = Parser::default();
    for piece in pieces {
        match parser.feed(piece) {
            Step::More => {}
            Step::Git => return Some(false),
            Step::Whole(_) => return Some(true),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pkt_line::write_data;

    const DELIMITER: &str = "0001";

    fn packets(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            match *line {
                "0000" | DELIMITER | "0002" => bytes.extend_from_slice(line.as_bytes()),
                line => write_data(&mut bytes, line.as_bytes()),
            }
        }
        bytes
    }

    #[test]
    fn a_whole_request_is_taken_however_it_is_cut() {
        let bytes = packets(&[
            "command=ls-refs\n",
            "agent=git/2.39.5",
            "object-format=sha1",
            "server-option=x",
            DELIMITER,
            "peel\n",
            "symrefs",
            "unborn",
            "ref-prefix refs/tags/",
            "ref-prefix HEAD\n",
            "0000",
        ]);
        let prefixes = Prefixes::new(vec![b"HEAD".to_vec(), b"refs/tags/".to_vec()]);
        let expected = Request { peel: true, symrefs: true, unborn: true, prefixes };
        for size in [1, 3, 1000] {
            let mut parser = Parser::default();
            let steps: Vec<Step> = bytes.chunks(size).map(|piece| parser.feed(piece)).collect();
            let (last, before) = steps.split_last().unwrap();
            assert_eq!(*last, Step::Whole(expected.clone()));
            assert!(before.iter().all(|step| *step == Step::More));
        }
        assert!(matches!(Parser::default().feed(&packets(&["command=ls-refs", "0000"])), Step::Whole(_)));
    }

    /// Attack: a request that is answered here and would have been refused by git, or not answered at all.
    #[test]
    fn what_git_would_refuse_is_left_to_it() {
        let long = format!("ref-prefix refs/{}", "x".repeat(65_000));
        for bad in [
            &["command=fetch"][..],
            &["agent=x", "command=fetch"],
            &["command=ls-refs\n\n"],
            &["command=ls-refs", "command=ls-refs"],
            &["command=ls-refs", "command=fetch"],
            &["command=ls-refs", "object-format=sha256"],
            &["command=ls-refs", "session-id=1"],
            &["command=ls-refs", "peel"],
            &["command=ls-refs", ""],
            &["command=ls-refs", "agent=a\0b"],
            &["agent=x", "0000"],
            &["0000"],
            &["0002"],
            &["command=ls-refs", DELIMITER, "thing"],
            &["command=ls-refs", DELIMITER, "ref-prefix"],
            &["command=ls-refs", DELIMITER, "peel", DELIMITER],
            &["command=ls-refs", DELIMITER, "0002"],
            &["command=ls-refs", DELIMITER, &long, &long],
            &[DELIMITER, "peel", "0000"],
        ] {
            assert_eq!(Parser::default().feed(&packets(bad)), Step::Git, "{bad:?}");
        }
        assert_eq!(Parser::default().feed(b"0003"), Step::Git);
    }
}
