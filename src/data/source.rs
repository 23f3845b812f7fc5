//! Reading a file, plain or gzip, to its exact end.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

#[cfg(feature = "gzip")]
use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// An open file. Its contents, not its name, determine whether it is gzip, because downloads are often
/// unpacked on the way.
pub(super) struct Source {
    path: PathBuf,
    reader: Box<dyn Read>,
    /// Bytes read of the (unpacked) contents.
    read: u64,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Source> {
        let file = File::open(path).map_err(|error| Error::io(path, "open", error))?;
        Source::new(path, BufReader::with_capacity(1 << 16, file))
    }

    pub(super) fn new(path: &Path, mut reader: impl BufRead + 'static) -> Result<Source> {
        let start = reader.fill_buf().map_err(|error| Error::io(path, "read", error))?;
        let reader = if start.starts_with(&GZIP_MAGIC) { gunzip(path, reader)? } else { Box::new(reader) };
        Ok(Source { path: path.into(), reader, read: 0 })
    }

    /// The error for a file that should hold something else.
    pub(super) fn wrong<T>(&self, expected: impl Display, found: impl Display) -> Result<T> {
        Err(Error::format(&self.path, expected, found))
    }

    /// The next `N` bytes, which belong to `what`.
    pub(super) fn header<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let bytes = self.take(N as u64, what)?;
        Ok(bytes.try_into().expect("take gives as many bytes as are asked for"))
    }

    /// The next `len` bytes, which belong to `what`.
    pub(super) fn take(&mut self, len: u64, what: impl Display) -> Result<Vec<u8>> {
        // A header may lie about the length, so memory grows as bytes arrive.
        let mut bytes = Vec::with_capacity(len.min(1 << 26) as usize);
        let outcome = self.reader.by_ref().take(len).read_to_end(&mut bytes);
        self.read += bytes.len() as u64;
        match outcome {
            Ok(_) if bytes.len() as u64 == len => Ok(bytes),
            Ok(_) if self.read == 0 => self.wrong(what, "an empty file"),
            Ok(_) => self
                .wrong(format_args!("{what}, {} bytes", self.read - bytes.len() as u64 + len), self.ended()),
            Err(error) => Err(self.refused(error)),
        }
    }

    /// Checks that nothing follows.
    pub(super) fn end(mut self, what: impl Display) -> Result<()> {
        match self.reader.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => self.wrong(format_args!("{what}, {} bytes", self.read), "more bytes after them"),
            Err(error) => Err(self.refused(error)),
        }
    }

    fn ended(&self) -> String {
        format!("only {} bytes", self.read)
    }

    fn refused(&self, error: io::Error) -> Error {
        use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
        match error.kind() {
            UnexpectedEof => {
                let found =
                    format_args!("the end of the file in its middle, after {} unpacked bytes", self.read);
                Error::format(&self.path, "a whole gzip stream", found)
            }
            InvalidData | InvalidInput => {
                let found = format_args!("damage after {} unpacked bytes ({error})", self.read);
                Error::format(&self.path, "an intact gzip stream", found)
            }
            _ => Error::io(&self.path, "read", error),
        }
    }
}

#[cfg(feature = "gzip")]
fn gunzip(_: &Path, reader: impl BufRead + 'static) -> Result<Box<dyn Read>> {
    Ok(Box::new(Members { decoder: Some(GzDecoder::new(reader)) }))
}

/// The contents of a gzip file, which are consecutive streams, and zeros at the end, with which tapes and
/// some tools fill up a block. Anything else after a stream is damage.
#[cfg(feature = "gzip")]
struct Members<R> {
    /// `None` once the file is at its end.
    decoder: Option<GzDecoder<R>>,
}

#[cfg(feature = "gzip")]
impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while let Some(mut decoder) = self.decoder.take() {
            let count = decoder.read(out)?;
            if count > 0 || out.is_empty() {
                self.decoder = Some(decoder);
                return Ok(count);
            }
            let mut rest = decoder.into_inner();
            let is_padded = skip_zeros(&mut rest)?;
            self.decoder = match rest.fill_buf()? {
                [] => None,
                _ if is_padded => {
                    let text = "something other than zeros after the end of the last stream";
                    return Err(io::Error::new(io::ErrorKind::InvalidData, text));
                }
                _ => Some(GzDecoder::new(rest)),
            };
        }
        Ok(0)
    }
}

/// Skips zeros; returns whether there were any.
#[cfg(feature = "gzip")]
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    let mut skipped = false;
    loop {
        let buffer = reader.fill_buf()?;
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        if zeros == 0 {
            return Ok(skipped);
        }
        skipped = true;
        reader.consume(zeros);
    }
}

#[cfg(not(feature = "gzip"))]
fn gunzip(path: &Path, _: impl BufRead + 'static) -> Result<Box<dyn Read>> {
    Err(Error::format(path, "an unpacked file (this build is without the feature `gzip`)", "a gzip file"))
}
