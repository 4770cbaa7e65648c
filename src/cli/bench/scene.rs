//! A scene for measurements of speed: shapes with texture, about as hard to compress as a
//! photograph. No time depends on what it shows.

use crate::frame::{Frame, Region, Shape};
use crate::noise::NoiseField;

pub fn frame(shape: Shape) -> Frame {
    let mut frame = Frame::filled(shape, 0.0);
    let field = NoiseField { seed: 1, frame: 0, draw: 0 };
    field.fill(Region::whole(shape), shape.channels, &mut frame.data);
    for (i, v) in frame.data.iter_mut().enumerate() {
        let (c, y, x) = (i / shape.plane(), i % shape.plane() / shape.width, i % shape.width);
        let wave = (x as f32 * 0.021 + c as f32).sin() * (y as f32 * 0.017).cos();
        let edge = if (x / 40 + y / 56) % 3 == 0 { 0.25 } else { -0.15 };
        *v = (0.4 * wave + edge + 0.02 * *v).clamp(-1.0, 1.0);
    }
    frame
}
