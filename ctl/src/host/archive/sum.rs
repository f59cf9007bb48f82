//! The hash of what passes a reader or writer.

use std::cell::RefCell;
use std::io;
use std::io::{Read, Write};
use std::rc::Rc;

use sha2::{Digest, Sha256};

/// The size of a header in a tar file.
const HEADER: usize = 512;

/// The hash of all bytes so far. That of all but the last header is known as well, since a reader of the last entry has
/// read its header.
#[derive(Clone, Default)]
pub(super) struct Sum(Rc<RefCell<State>>);

#[derive(Default)]
struct State {
    hasher: Sha256,
    /// The last bytes, which are not hashed yet.
    rest: Vec<u8>,
    total: u64,
}

impl Sum {
    fn add(&self, bytes: &[u8]) {
        let mut state = self.0.borrow_mut();
        let State { hasher, rest, total } = &mut *state;
        *total += bytes.len() as u64;
        rest.extend_from_slice(bytes);
        let due = rest.len().saturating_sub(HEADER);
        hasher.update(&rest[..due]);
        rest.drain(..due);
    }

    /// Returns the number of bytes.
    pub(super) fn total(&self) -> u64 {
        self.0.borrow().total
    }

    /// Returns the hash of all bytes.
    pub(super) fn whole(&self) -> String {
        let state = self.0.borrow();
        let mut hasher = state.hasher.clone();
        hasher.update(&state.rest);
        hex(&hasher.finalize())
    }

    /// Returns the hash of all bytes but the last header.
    pub(super) fn before_header(&self) -> String {
        hex(&self.0.borrow().hasher.clone().finalize())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A reader or writer whose bytes are hashed.
pub(super) struct Summed<T> {
    pub(super) inner: T,
    pub(super) sum: Sum,
}

impl<T: Read> Read for Summed<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.sum.add(&buffer[..read]);
        Ok(read)
    }
}

impl<T: Write> Write for Summed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.sum.add(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
