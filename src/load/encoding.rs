//! Recognises files that are no text, or text in another encoding, by their first bytes.

/// Checks that the bytes are text in an encoding that contains ASCII.
pub(super) fn check_encoding(head: &[u8]) -> Result<(), String> {
    if head.iter().all(u8::is_ascii_whitespace) {
        return Err("the file is empty".to_owned());
    }
    let nul = |offset: usize| head.iter().skip(offset).step_by(2).take(64).all(|byte| *byte == 0);
    let marked = head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]);
    if marked || head.len() >= 8 && (nul(0) || nul(1)) {
        return Err("the file is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 FILE > NEW".into());
    }
    if let Some(packer) = packer(head) {
        return Err(format!(
            "the file is packed with {}; unpack it, or pass it as a stream: {} FILE | lacuna ... -",
            packer.name, packer.command
        ));
    }
    match head.iter().position(|byte| *byte == 0) {
        Some(at)
            if head[..at]
                .iter()
                .all(|byte| byte.is_ascii_graphic() || b"\t\r\n ".contains(byte)) =>
        {
            let line = 1 + memchr::memchr_iter(b'\n', &head[..at]).count();
            Err(format!(
                "line {line} contains a NUL byte; remove all NUL bytes: tr -d '\\0' < FILE > NEW"
            ))
        }
        Some(_) => {
            Err("not a rating file: neither text nor Parquet (text may be gzip, zstd or zip \
                        compressed)"
                .to_owned())
        }
        None => Ok(()),
    }
}

/// A program that packs files in a format that is not read.
struct Packer {
    name: &'static str,
    /// The command that unpacks to standard output.
    command: &'static str,
    /// The first bytes of its files, and where they are.
    magic: (usize, &'static [u8]),
}

const PACKERS: [Packer; 6] = [
    Packer { name: "bzip2", command: "bzip2 -dc", magic: (0, b"BZh") },
    Packer { name: "xz", command: "xz -dc", magic: (0, b"\xfd7zXZ\0") },
    Packer { name: "lz4", command: "lz4 -dc", magic: (0, b"\x04\x22\x4d\x18") },
    Packer { name: "tar", command: "tar -xOf", magic: (257, b"ustar") },
    Packer { name: "7-Zip", command: "7z x -so", magic: (0, b"7z\xbc\xaf\x27\x1c") },
    Packer { name: "RAR", command: "unrar p -inul", magic: (0, b"Rar!\x1a\x07") },
];

fn packer(head: &[u8]) -> Option<&'static Packer> {
    PACKERS.iter().find(|packer| {
        let (at, magic) = packer.magic;
        head.get(at..).is_some_and(|bytes| bytes.starts_with(magic))
    })
}
