//! PNG files made by hand, straight from the specification, so that the reader is not only
//! tested against its own writer.

/// What to put into a PNG file.
#[derive(Clone, Copy)]
pub struct Spec {
    pub width: usize,
    pub height: usize,
    /// Bits per sample.
    pub depth: u8,
    /// PNG colour type: 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA.
    pub color: u8,
    pub interlaced: bool,
}

impl Spec {
    pub fn samples(&self) -> usize {
        match self.color {
            2 => 3,
            4 => 2,
            6 => 4,
            _ => 1,
        }
    }
}

/// A file of this spec; `chunks` stand before the pixels, `sample(x, y, c)` gives the codes.
pub fn png(
    spec: Spec,
    chunks: &[(&[u8; 4], Vec<u8>)],
    sample: impl Fn(usize, usize, usize) -> u16,
) -> Vec<u8> {
    let passes: &[[usize; 4]] = if spec.interlaced {
        // First column, first row, column step, row step.
        &[
            [0, 0, 8, 8],
            [4, 0, 8, 8],
            [0, 4, 4, 8],
            [2, 0, 4, 4],
            [0, 2, 2, 4],
            [1, 0, 2, 2],
            [0, 1, 1, 2],
        ]
    } else {
        &[[0, 0, 1, 1]]
    };
    let mut raw = Vec::new();
    for &[x0, y0, dx, dy] in passes {
        if x0 >= spec.width {
            continue;
        }
        for y in (y0..spec.height).step_by(dy) {
            raw.push(0); // no filter
            let mut bits = Vec::new();
            for x in (x0..spec.width).step_by(dx) {
                for c in 0..spec.samples() {
                    let code = sample(x, y, c);
                    bits.extend((0..spec.depth).rev().map(|b| (code >> b & 1) as u8));
                }
            }
            raw.extend(
                bits.chunks(8)
                    .map(|b| b.iter().enumerate().map(|(i, bit)| bit << (7 - i)).sum::<u8>()),
            );
        }
    }
    let mut header = Vec::new();
    header.extend((spec.width as u32).to_be_bytes());
    header.extend((spec.height as u32).to_be_bytes());
    header.extend([spec.depth, spec.color, 0, 0, u8::from(spec.interlaced)]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &header);
    for (name, data) in chunks {
        chunk(&mut file, name, data);
    }
    chunk(&mut file, b"IDAT", &stored(&raw));
    chunk(&mut file, b"IEND", &[]);
    file
}

pub fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend((data.len() as u32).to_be_bytes());
    let start = file.len();
    file.extend(name);
    file.extend(data);
    let crc = !file[start..].iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(
            crc ^ u32::from(byte),
            |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 },
        )
    });
    file.extend(crc.to_be_bytes());
}

/// A zlib stream that compresses nothing.
fn stored(raw: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = raw.chunks(65535).count();
    for (i, block) in raw.chunks(65535).enumerate() {
        out.push(u8::from(i + 1 == blocks));
        out.extend((block.len() as u16).to_le_bytes());
        out.extend((!(block.len() as u16)).to_le_bytes());
        out.extend(block);
    }
    let (a, b) = raw.iter().fold((1u32, 0u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65521;
        (a, (a + b) % 65521)
    });
    out.extend((b << 16 | a).to_be_bytes());
    out
}
