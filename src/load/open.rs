//! Opens inputs and decompresses them: gzip, zstd, zip.

use std::io::{BufReader, Cursor, Read, SeekFrom};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};

use super::fingerprint::hex;
use super::formats::format_of;
use super::input::Input;
use super::meter::{Counting, Meter, ReadSeek, Unpacked};
use super::zip_member;
use crate::error::{Error, Result};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const ZIP: &[u8] = b"PK\x03\x04";

/// Opens a stream that can be read only once. Formats and archives that need seeking are read into
/// memory as a whole.
pub(super) fn open_stream(path: PathBuf, mut stream: Box<dyn Read + Send>) -> Result<Input> {
    let unreadable = |source| Error::Read { path: path.clone(), source };
    let mut magic = Vec::new();
    stream.by_ref().take(4).read_to_end(&mut magic).map_err(unreadable)?;
    let seeks = magic.starts_with(ZIP) || format_of(&magic).seeks();
    let mut stream = Cursor::new(magic.clone()).chain(stream);
    if seeks {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).map_err(unreadable)?;
        let sha256 = hex(&Sha256::digest(&all));
        let size = all.len() as u64;
        let mut input =
            open_raw(path, Box::new(Cursor::new(all)), None, Arc::new(Meter::default()))?;
        input.whole = Some((size, sha256));
        return Ok(input);
    }
    let meter = Meter { hash: Some(Mutex::new(Sha256::new())), ..Meter::default() };
    decompress(path, None, &magic, Box::new(stream), Arc::new(meter))
}

/// Opens an input that supports seeking.
pub(super) fn open_raw(
    path: PathBuf,
    mut raw: Box<dyn ReadSeek>,
    size: Option<u64>,
    meter: Arc<Meter>,
) -> Result<Input> {
    let mut magic = [0; 4];
    let unreadable = |source| Error::Read { path: path.clone(), source };
    let mut len = 0;
    while len < 4 {
        let n = raw.read(&mut magic[len..]).map_err(unreadable)?;
        if n == 0 {
            break;
        }
        len += n;
    }
    raw.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    if magic.starts_with(ZIP) {
        return zip_member::open(&path, None, raw, size, meter);
    }
    decompress(path, size, &magic[..len], Box::new(raw), meter)
}

fn decompress(
    path: PathBuf,
    size: Option<u64>,
    magic: &[u8],
    raw: Box<dyn Read + Send>,
    meter: Arc<Meter>,
) -> Result<Input> {
    let counted = BufReader::with_capacity(1 << 18, Counting { inner: raw, meter: meter.clone() });
    let (name, body): (_, Box<dyn Read + Send>) = if magic.starts_with(GZIP) {
        let inner = flate2::bufread::MultiGzDecoder::new(counted);
        (Some("gzip"), Box::new(Unpacked { inner, meter: meter.clone(), bytes: 0 }))
    } else if magic.starts_with(ZSTD) {
        let decoder = zstd::stream::read::Decoder::with_buffer(counted);
        let decoder = decoder.map_err(|source| Error::Read { path: path.clone(), source })?;
        let inner = decoder;
        (Some("zstd"), Box::new(Unpacked { inner, meter: meter.clone(), bytes: 0 }))
    } else {
        (None, Box::new(counted))
    };
    Input::new(path, size, name, body, meter)
}
