//! Weights as bytes: in memory, in the binary, or mapped from a file.

mod bytes;
mod file;
mod map;
mod store;
#[cfg(test)]
mod tests;

pub use bytes::Bytes;
pub use file::{Contents, FORMAT_VERSION, MAGIC, read, write};
pub use map::{map, report_lost_files};
pub use store::{Format, Store, StoreBuilder, TensorEntry};
