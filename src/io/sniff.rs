//! Tells file formats apart by their first bytes, never by their names.

/// How many leading bytes `sniff` wants to see.
pub const HEAD: usize = 64;

/// What a file's first bytes say it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Png,
    Jpeg,
    Npy,
    /// Something else, in words that fit after "found".
    Other(&'static str),
}

/// Looks at the first `HEAD` bytes of a file (fewer only when the file is that short).
pub fn sniff(head: &[u8]) -> Kind {
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Kind::Png;
    }
    if head.starts_with(&[0xff, 0xd8, 0xff]) {
        return Kind::Jpeg;
    }
    if super::npy::is_npy(head) {
        return Kind::Npy;
    }
    Kind::Other(other(head))
}

fn other(head: &[u8]) -> &'static str {
    /// Formats known by a fixed beginning.
    const STARTS: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG file damaged by a transfer as text"),
        (b"GIF8", "a GIF picture"),
        (b"II*\0", "a TIFF or camera raw picture"),
        (b"MM\0*", "a TIFF or camera raw picture"),
        (b"II+\0", "a BigTIFF picture"),
        (b"MM\0+", "a BigTIFF picture"),
        (b"BM", "a BMP picture"),
        (b"\xff\x0a", "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
        (b"\x76\x2f\x31\x01", "an OpenEXR picture"),
        (b"8BPS", "a Photoshop picture"),
        (b"qoif", "a QOI picture"),
        (b"\0\0\x01\0", "an icon file"),
        (b"YUV4MPEG2", "a Y4M video (`ddnm stream` reads those)"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip file"),
        (b"\x1a\x45\xdf\xa3", "a Matroska or WebM video"),
    ];
    if head.is_empty() {
        return "an empty file";
    }
    // A prefix of a known signature is what a file cut off at once looks like.
    if b"\x89PNG\r\n\x1a\n".starts_with(head) || [0xff, 0xd8, 0xff].starts_with(head) {
        return "a file that ends after its first bytes";
    }
    if let Some((_, what)) = STARTS.iter().find(|(start, _)| head.starts_with(start)) {
        return what;
    }
    if head.len() >= 12 && head.starts_with(b"RIFF") {
        return if &head[8..12] == b"WEBP" {
            "a WebP picture"
        } else {
            "a RIFF file (video or sound)"
        };
    }
    if head.len() >= 12 && &head[4..8] == b"ftyp" {
        return match &head[8..12] {
            b"heic" | b"heix" | b"heim" | b"heis" | b"mif1" | b"msf1" => "a HEIC picture",
            b"avif" | b"avis" => "an AVIF picture",
            _ => "an MP4 or QuickTime file",
        };
    }
    if head[0] == b'P' && head.len() >= 3 && b"1234567Ff".contains(&head[1]) && head[2] <= b' ' {
        return "a Netpbm picture (PBM, PGM, PPM, PAM or PFM)";
    }
    if is_text(head) { "a text file" } else { "bytes of an unknown format" }
}

/// Whether the bytes are printable UTF-8, allowing a character that the end of `head` cuts.
fn is_text(head: &[u8]) -> bool {
    let valid = match std::str::from_utf8(head) {
        Ok(_) => head,
        Err(e) if e.error_len().is_none() => &head[..e.valid_up_to()],
        Err(_) => return false,
    };
    !valid.is_empty() && valid.iter().all(|&b| b >= b' ' || matches!(b, b'\t' | b'\n' | b'\r'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_named_by_content() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "empty"),
            (b"\x89PN", "ends after"),
            (b"\xff\xd8", "ends after"),
            (b"\x89PNG\n\x1a\n_____", "damaged"),
            (b"GIF89a......", "GIF"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
            (b"RIFF\0\0\0\0AVI LIST", "RIFF"),
            (b"II*\0\x08\0\0\0", "TIFF"),
            (b"BM......", "BMP"),
            (b"\0\0\0\x18ftypheic....", "HEIC"),
            (b"\0\0\0\x18ftypavif....", "AVIF"),
            (b"\0\0\0\x18ftypisom....", "MP4"),
            (b"P6\n3 2 255\n", "Netpbm"),
            (b"YUV4MPEG2 W640 H480", "Y4M"),
            (b"Dear sir,\n", "text"),
            (b"\x00\x01\x02\x03\x04", "unknown"),
        ];
        for (bytes, word) in cases {
            match sniff(bytes) {
                Kind::Other(what) => assert!(what.contains(word), "{what} lacks {word}"),
                kind => panic!("{bytes:?} taken for {kind:?}"),
            }
        }
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n"), Kind::Png);
        assert_eq!(sniff(b"\xff\xd8\xff\xe0"), Kind::Jpeg);
    }
}
