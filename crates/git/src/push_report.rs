//! Git's answer to a push, taken apart: what people read is passed on at once, the report is held back until what
//! it says is on disk and recorded.

use std::collections::HashMap;

use bytes::Bytes;

use crate::pkt_line::{Band, Decoder, FLUSH, Malformed, Packet, write_data};

/// The longest report that is held; it grows with the number of refs.
const LONGEST_REPORT: usize = 64 << 20;

/// Takes git's output as it comes.
#[derive(Debug)]
pub(crate) struct Demultiplexer {
    decoder: Decoder,
    /// Whether the ref advertisement of a conversation is still being passed on.
    advertising: bool,
    /// Whether the client reads the side band; known once it has sent its commands.
    side_band: Option<bool>,
    /// The report's own bytes, without bands.
    report: Vec<u8>,
}

impl Demultiplexer {
    /// For an answer that begins with an advertisement, or not.
    pub(crate) fn new(advertising: bool) -> Self {
        Self { decoder: Decoder::default(), advertising, side_band: None, report: Vec::new() }
    }

    /// What the client said it can read.
    pub(crate) fn set_side_band(&mut self, side_band: bool) {
        self.side_band = Some(side_band);
    }

    /// Whether the client has seen side-band packets announced, so that messages can be sent to it.
    pub(crate) fn side_band(&self) -> bool {
        self.side_band == Some(true)
    }

    /// Takes bytes from git; gives those that the client may have at once.
    ///
    /// # Errors
    /// When they are not packets, or the report is longer than any lawful one.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut now = Vec::new();
        self.decoder.feed(bytes);
        while let Some(packet) = self.decoder.packet()? {
            if self.advertising {
                write_packet(&mut now, &packet);
                self.advertising = packet != Packet::Flush;
                continue;
            }
            match packet {
                Packet::Data(data) if self.side_band() => self.take_band(&data, &mut now)?,
                Packet::Data(data) => write_data(&mut self.report, &data),
                // The last flush is written when the report is let go.
                Packet::Flush if self.side_band() => {}
                other => write_packet(&mut self.report, &other),
            }
            if self.report.len() > LONGEST_REPORT {
                return Err(Malformed::Length);
            }
        }
        Ok(now)
    }

    fn take_band(&mut self, data: &Bytes, now: &mut Vec<u8>) -> Result<(), Malformed> {
        match Band::split(data) {
            // Git keeps the connection alive with empty packets.
            Some((Band::Data, rest)) if rest.is_empty() => write_data(now, data),
            Some((Band::Data, rest)) => self.report.extend_from_slice(&rest),
            Some((Band::Progress | Band::Error, _)) => write_data(now, data),
            None => return Err(Malformed::Length),
        }
        Ok(())
    }

    /// What git reported.
    pub(crate) fn report(&self) -> Report {
        Report::parse(&self.report)
    }

    /// The held bytes as the client expects them.
    pub(crate) fn release(&self) -> Vec<u8> {
        if !self.side_band() {
            return self.report.clone();
        }
        let mut bytes = Vec::new();
        Band::Data.write(&mut bytes, &self.report);
        bytes.extend_from_slice(FLUSH);
        bytes
    }

    /// Instead of the report: an error the client shows, after which it fails.
    pub(crate) fn withhold(&self, message: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.side_band() {
            Band::Error.write(&mut bytes, format!("{message}\n").as_bytes());
            bytes.extend_from_slice(FLUSH);
        } else {
            write_data(&mut bytes, format!("ERR {message}\n").as_bytes());
        }
        bytes
    }

    /// A line for the person who pushes, if the client can read one.
    pub(crate) fn message(&self, line: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.side_band() {
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            Band::Progress.write(&mut bytes, format!("{line}\n").as_bytes());
        }
        bytes
    }
}

fn write_packet(to: &mut Vec<u8>, packet: &Packet) {
    match packet {
        Packet::Flush => to.extend_from_slice(FLUSH),
        Packet::Delimiter => to.extend_from_slice(b"0001"),
        Packet::ResponseEnd => to.extend_from_slice(b"0002"),
        Packet::Data(data) => write_data(to, data),
    }
}

/// What git says it did, ref by ref.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The ref's name, and why it was refused if it was.
    pub(crate) refs: HashMap<String, Option<String>>,
    /// Whether the report has its end.
    pub(crate) complete: bool,
}

impl Report {
    fn parse(bytes: &[u8]) -> Self {
        let mut decoder = Decoder::default();
        decoder.feed(bytes);
        let mut report = Self::default();
        while let Ok(Some(packet)) = decoder.packet() {
            match packet {
                Packet::Data(line) => report.take_line(&String::from_utf8_lossy(&line)),
                Packet::Flush => report.complete = true,
                Packet::Delimiter | Packet::ResponseEnd => {}
            }
        }
        report
    }

    fn take_line(&mut self, line: &str) {
        let line = line.trim_end_matches('\n');
        if let Some(name) = line.strip_prefix("ok ") {
            self.refs.insert(name.to_owned(), None);
        } else if let Some((name, reason)) = line.strip_prefix("ng ").and_then(|rest| rest.split_once(' ')) {
            self.refs.insert(name.to_owned(), Some(reason.to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_bytes() -> Vec<u8> {
        let mut report = Vec::new();
        for line in ["unpack ok\n", "ok refs/heads/a\n", "ng refs/heads/b pre-receive hook declined\n"] {
            write_data(&mut report, line.as_bytes());
        }
        report.extend_from_slice(FLUSH);
        report
    }

    #[test]
    fn progress_passes_and_the_report_waits() {
        let mut git = Vec::new();
        Band::Progress.write(&mut git, b"hello\n");
        let progress = git.clone();
        git.extend_from_slice(b"0005\x01");
        Band::Data.write(&mut git, &report_bytes());
        git.extend_from_slice(FLUSH);

        let mut demultiplexer = Demultiplexer::new(false);
        demultiplexer.set_side_band(true);
        let mut passed = Vec::new();
        for byte in &git {
            passed.extend(demultiplexer.take(&[*byte]).unwrap());
        }
        assert_eq!(passed, [&progress[..], b"0005\x01"].concat());
        assert_eq!(demultiplexer.release(), git[passed.len()..]);
        let report = demultiplexer.report();
        assert!(report.complete);
        assert_eq!(report.refs.get("refs/heads/a"), Some(&None));
        assert_eq!(report.refs["refs/heads/b"].as_deref(), Some("pre-receive hook declined"));
    }

    #[test]
    fn without_a_side_band_all_but_the_advertisement_waits() {
        let mut demultiplexer = Demultiplexer::new(true);
        let mut advertisement = Vec::new();
        write_data(&mut advertisement, b"refs");
        advertisement.extend_from_slice(FLUSH);
        assert_eq!(demultiplexer.take(&advertisement).unwrap(), advertisement);
        demultiplexer.set_side_band(false);
        assert!(demultiplexer.take(&report_bytes()).unwrap().is_empty());
        assert_eq!(demultiplexer.release(), report_bytes());
        assert!(demultiplexer.report().complete);
    }
}
