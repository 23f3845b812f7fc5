//! The file format of a checkpoint: safetensors whose metadata begin with checksums of the header and of the
//! tensors.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Checkpoint;
use crate::checksum::Checksum;
use crate::error::{Error, Result};
use crate::shape::Shape;

/// The metadata key under which the settings are stored.
const KEY: &str = "reparam";
/// The beginning of a header, after the word with its length. The first line of the settings holds the
/// checksums.
const START: &str = r#"{"__metadata__":{"reparam":"checksums="#;
/// Bytes of the word that holds the header's length.
const WORD: usize = 8;
const DIGITS: usize = 16;
/// The position of the checksum of the header. The checksum covers the header except for itself.
const OF_HEADER: Range<usize> = WORD + START.len()..WORD + START.len() + DIGITS;
/// The position of the checksum of the tensors.
const OF_TENSORS: Range<usize> = OF_HEADER.end + 1..OF_HEADER.end + 1 + DIGITS;
/// The longest header that the safetensors format allows.
const LONGEST_HEADER: usize = 100_000_000;

/// Returns the bytes of the file.
pub(super) fn to_bytes(checkpoint: &Checkpoint) -> Vec<u8> {
    let mut text = format!("checksums={0} {0}\n", "0".repeat(DIGITS));
    text.extend(checkpoint.settings.iter().map(|(key, value)| format!("{key}={value}\n")));
    let bytes = |value: &Vec<f32>| value.iter().flat_map(|number| number.to_le_bytes()).collect();
    let tensors: Vec<(&String, &Shape, Vec<u8>)> =
        checkpoint.tensors.iter().map(|(name, (shape, value))| (name, shape, bytes(value))).collect();
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.dims().to_vec(), bytes);
        (name, view.expect("the shape is the value's"))
    });
    let metadata = HashMap::from([(KEY.to_owned(), text)]);
    let mut bytes = safetensors::serialize(views, Some(metadata)).expect("plain f32 tensors");
    let end = end_of_header(&bytes);
    let (header, tensors) = bytes.split_at_mut(end);
    header[OF_TENSORS].copy_from_slice(Checksum::of(tensors).to_string().as_bytes());
    let checksum = checksum_of_header(header).to_string();
    header[OF_HEADER].copy_from_slice(checksum.as_bytes());
    bytes
}

/// Returns the position of the first tensor, according to the file.
fn end_of_header(bytes: &[u8]) -> usize {
    let len = bytes.first_chunk().map_or(0, |&word| u64::from_le_bytes(word));
    usize::try_from(len).unwrap_or(usize::MAX).saturating_add(WORD)
}

fn checksum_of_header(header: &[u8]) -> Checksum {
    Checksum::of(&header[..OF_HEADER.start]).and(&header[OF_HEADER.end..])
}

/// A mismatch: the expected contents and the contents found.
type Unfit = (&'static str, String);

/// A file of which only the header has been read.
pub(super) struct Unread {
    /// The settings, and the names and shapes of the tensors, without values.
    pub(super) outline: Checkpoint,
    /// The header, then zeros, which take no memory until the tensors are read.
    bytes: Vec<u8>,
    header: usize,
    source: Box<dyn Read>,
}

impl Unread {
    /// Reads the header of the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Unread> {
        let cannot_read = |error| Error::io(path, "read", error);
        let (mut source, mut bytes) = open(path).map_err(cannot_read)?;
        let word = WORD.min(bytes.len());
        source.read_exact(&mut bytes[..word]).map_err(cannot_read)?;
        let header = end_of_header(&bytes).min(bytes.len());
        if header <= LONGEST_HEADER {
            source.read_exact(&mut bytes[word..header]).map_err(cannot_read)?;
        }
        let outline =
            outline(&bytes, header).map_err(|(expected, found)| Error::format(path, expected, found))?;
        Ok(Unread { outline: Checkpoint { path: Some(path.to_owned()), ..outline }, bytes, header, source })
    }

    /// Reads the tensors and compares their checksum.
    pub(super) fn read(mut self, path: &Path) -> Result<Checkpoint> {
        let tensors = &mut self.bytes[self.header..];
        self.source.read_exact(tensors).map_err(|error| Error::io(path, "read", error))?;
        if *Checksum::of(tensors).to_string().as_bytes() != self.bytes[OF_TENSORS] {
            let expected = "the tensors that were written";
            return Err(self.outline.unfit(expected, "damaged ones: the checksum does not match"));
        }
        let file = SafeTensors::deserialize(&self.bytes).map_err(|error| self.outline.unfit(WHOLE, error))?;
        let mut checkpoint = self.outline;
        for (name, (_, value)) in &mut checkpoint.tensors {
            let view = file.tensor(name).expect("it is in the header");
            let (bytes, _) = view.data().as_chunks::<4>();
            *value = bytes.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        }
        Ok(checkpoint)
    }
}

const WHOLE: &str = "a whole safetensors file";

/// Opens a file, and returns it with as many zeros as it has bytes.
fn open(path: &Path) -> io::Result<(Box<dyn Read>, Vec<u8>)> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    let (source, len): (Box<dyn Read>, u64) = if found.is_file() {
        (Box::new(file), found.len())
    } else {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let len = bytes.len() as u64;
        (Box::new(Cursor::new(bytes)), len)
    };
    let len = usize::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // Returns an error if the system does not have that much memory. The zeros take no memory until they are
    // written.
    Vec::<u8>::new().try_reserve_exact(len)?;
    Ok((source, vec![0; len]))
}

/// Reads the settings, and the names and shapes of the tensors, of a file whose bytes up to `header` have
/// been read.
fn outline(bytes: &[u8], header: usize) -> std::result::Result<Checkpoint, Unfit> {
    let header = &bytes[..header];
    let is_ours = header.len() > OF_TENSORS.end && header[WORD..].starts_with(START.as_bytes());
    if is_ours && header[OF_HEADER] != *checksum_of_header(header).to_string().as_bytes() {
        return Err(("the header that was written", "a damaged one: the checksum does not match".to_owned()));
    }
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| (WHOLE, error.to_string()))?;
    let text = metadata.metadata().as_ref().and_then(|metadata| metadata.get(KEY));
    let another = || ("a checkpoint written by reparam", "safetensors of another origin".to_owned());
    let text = text.ok_or_else(another)?;
    if !is_ours {
        let found = "none: an older version wrote it, or its header is damaged; train again, or use it with that version";
        return Err(("a checkpoint with checksums", found.to_owned()));
    }
    let mut checkpoint = Checkpoint::new();
    // We do not use `lines`, which would count a carriage return as part of the line break.
    for line in text.split_terminator('\n').skip(1) {
        let (key, value) = line.split_once('=').ok_or(("settings `key=value`", format!("`{line}`")))?;
        checkpoint.set(key, value);
    }
    for (name, info) in metadata.tensors() {
        if info.dtype != Dtype::F32 {
            return Err(("f32 tensors", format!("`{name}` of type {:?}", info.dtype)));
        }
        checkpoint.tensors.insert(name, (Shape::from(&info.shape[..]), Vec::new()));
    }
    Ok(checkpoint)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::data::{Digits, Split};
    use crate::models::ModelShape;
    use crate::train::Plan;

    /// A run whose settings and tensors belong to different models.
    fn run_with(hidden: &str) -> Checkpoint {
        let part =
            || Split::of_bits([2, 2], &[false, true, true, false].repeat(4), vec![0, 1, 0, 1]).unwrap();
        let data = Digits::of_splits(part(), part(), part()).unwrap();
        let mut plan = Plan { model: ModelShape::Classifier { hidden: vec![3] }, ..Plan::mlp() };
        plan.training.batch = 2;
        let mut run = plan.begin(&data).unwrap().checkpoint();
        run.set("model.hidden", hidden);
        run.tensors.clear();
        run.put("dummy", &Shape::from([1]), &[0.0]);
        run
    }

    /// The file holds a gigabyte of zeros, which must not be read.
    #[test]
    fn sizes_are_compared_before_tensors_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let numbers = 250 * 1024 * 1024;
        let bytes = to_bytes(&run_with(&["1024"; 250].join(",")));
        let json = std::str::from_utf8(&bytes[WORD..end_of_header(&bytes)]).unwrap().trim_end();
        let json =
            json.replace("[1]", &format!("[{numbers}]")).replace("[0,4]", &format!("[0,{}]", 4 * numbers));
        let mut header = [&(json.len() as u64).to_le_bytes()[..], json.as_bytes()].concat();
        let checksum = checksum_of_header(&header).to_string();
        header[OF_HEADER].copy_from_slice(checksum.as_bytes());
        std::fs::write(&path, &header).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_len((header.len() + 4 * numbers) as u64).unwrap();
        let begin = Instant::now();
        let line = Plan::load(&path).unwrap_err().to_string();
        assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
        let expected = "expected a tensor `classifier.0.weight` of shape [4, 1024], found none";
        assert!(line.ends_with(expected), "{line}");

        std::fs::write(&path, to_bytes(&run_with(&["1"; 10_000].join(",")))).unwrap();
        let line = Plan::load(&path).unwrap_err().to_string();
        assert!(line.ends_with("found hidden: expected at most 1000 layers, found 10000"), "{line}");
    }
}
