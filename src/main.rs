//! The `ddnm` program; everything is in the library's `cli`.

#![forbid(unsafe_code)]

fn main() {
    std::process::exit(ddnm::cli::run());
}
