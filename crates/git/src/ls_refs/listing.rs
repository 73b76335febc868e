//! The answer: `HEAD`, then all refs that are asked for by name, loose and packed ones merged, a piece at a time.

use std::io;
use std::path::Path;

use super::loose::{self, End, LooseRef, Resolved};
use super::name::is_hidden;
use super::packed::{Packed, Peeled};
use super::request::Request;
use crate::objects::{Objects, Oid};
use crate::pkt_line::{FLUSH, LONGEST_DATA, write_data};

/// A piece is sent when it has become this long.
const PIECE: usize = 64 * 1024;

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Listing {
    request: Request,
    head: Option<Resolved>,
    loose: std::iter::Peekable<std::vec::IntoIter<LooseRef>>,
    packed: Option<Packed>,
    objects: Objects,
    finished: bool,
}

impl Listing {
    /// Looks at the repository at `top`.
    ///
    /// # Errors
    /// The disk's; and for a repository that is not plainly one of ours: one with settings of its own, another format,
    /// objects elsewhere, refs that are links.
    pub(super) fn open(top: &Path, request: Request) -> io::Result<Self> {
        let objects = Objects::open(top)?;
        let head = Some(loose::head(top)?);
        let loose = loose::list(top, &request.prefixes)?;
        let packed = Packed::open_after(&loose, top)?;
        Ok(Self { request, head, loose: loose.into_iter().peekable(), packed, objects, finished: false })
    }

    /// Whether the whole answer was given.
    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    /// The next piece of the answer.
    ///
    /// # Errors
    /// The disk's, and for what is not as git writes it.
    pub(super) fn next_piece(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = Vec::new();
        if let Some(head) = self.head.take() {
            self.write_head(&mut piece, &head)?;
        }
        while piece.len() < PIECE {
            if !self.write_next(&mut piece)? {
                piece.extend_from_slice(FLUSH);
                self.finished = true;
                break;
            }
        }
        Ok(piece)
    }

    fn write_head(&mut self, piece: &mut Vec<u8>, head: &Resolved) -> io::Result<()> {
        let name = b"HEAD";
        if !self.request.prefixes.match_name(name) {
            return Ok(());
        }
        let target = head.target.as_deref();
        match head.end {
            End::At(id) if !id.is_zero() => self.write_ref(piece, name, id, target, Peeled::Unknown),
            End::At(_) | End::Missing if self.request.unborn && self.request.symrefs && target.is_some() => {
                write_line(piece, b"unborn", name, target, None)
            }
            _ => Ok(()),
        }
    }

    /// Writes the next ref, or passes over it; false when there are no more.
    fn write_next(&mut self, piece: &mut Vec<u8>) -> io::Result<bool> {
        let packed = match &mut self.packed {
            Some(packed) => packed.next(&self.request.prefixes)?,
            None => None,
        };
        let order = match (self.loose.peek(), packed) {
            (None, None) => return Ok(false),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (Some(loose), Some(packed)) => loose.name.cmp(&packed.name),
        };
        let packed = match &mut self.packed {
            Some(packed) if order.is_ge() => packed.take()?,
            _ => None,
        };
        // A loose ref is newer than a packed one of its name.
        if order.is_le() {
            if let Some(LooseRef { name, id, target, dangling: false }) = self.loose.next()
                && !is_hidden(&name)
            {
                self.write_ref(piece, &name, id, target.as_deref(), Peeled::Unknown)?;
            }
        } else if let Some(packed) = packed
            && !is_hidden(&packed.name)
        {
            self.write_ref(piece, &packed.name, packed.id, None, packed.peeled)?;
        }
        Ok(true)
    }

    fn write_ref(
        &mut self,
        piece: &mut Vec<u8>,
        name: &[u8],
        id: Oid,
        target: Option<&[u8]>,
        peeled: Peeled,
    ) -> io::Result<()> {
        let peeled = match peeled {
            _ if !self.request.peel => None,
            Peeled::Unknown => self.objects.peel(&id)?,
            Peeled::NoTag => None,
            Peeled::At(target) => Some(target).filter(|target| !target.is_zero()),
        };
        write_line(piece, &id.digits(), name, target.filter(|_| self.request.symrefs), peeled)
    }
}

fn write_line(
    piece: &mut Vec<u8>,
    id: &[u8],
    name: &[u8],
    target: Option<&[u8]>,
    peeled: Option<Oid>,
) -> io::Result<()> {
    let mut line = Vec::with_capacity(160);
    line.extend_from_slice(id);
    line.push(b' ');
    line.extend_from_slice(name);
    if let Some(target) = target {
        line.extend_from_slice(b" symref-target:");
        line.extend_from_slice(target);
    }
    if let Some(peeled) = peeled {
        line.extend_from_slice(b" peeled:");
        line.extend_from_slice(&peeled.digits());
    }
    line.push(b'\n');
    if line.len() > LONGEST_DATA {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a ref's name fits in no packet"));
    }
    write_data(piece, &line);
    Ok(())
}
