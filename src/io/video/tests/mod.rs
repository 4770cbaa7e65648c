//! Streams as they should be and as they should not.

mod formats;
mod streams;
