#!/bin/sh
# targets/armv7-musl.sh: the static program for 32-bit ARM with musl, where rustup has no standard
# library for it. Builds that from its source, against Debian's musl; takes four minutes. Needs
#
#     dpkg --add-architecture armhf && apt-get update
#     apt-get install gcc-arm-linux-gnueabihf musl-dev:armhf
#     rustup component add rust-src
#
# Arguments go to cargo, as in `targets/armv7-musl.sh --no-default-features`.
set -eu
cd "$(dirname "$0")/.."
triple=armv7-unknown-linux-musleabihf
libraries="$PWD/target/armv7-musl"
mkdir -p "$libraries"
# std asks for libunwind; the compiler's own unwinder has the same interface.
echo 'INPUT(-lgcc_eh -lgcc -lc)' > "$libraries/libunwind.a"

export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_MUSLEABIHF_LINKER=arm-linux-gnueabihf-gcc
export RUSTFLAGS="-C link-self-contained=no -C link-arg=-specs=/usr/lib/arm-linux-musleabihf/musl-gcc.specs -C link-arg=-L$libraries"
# Lets a stable compiler build std.
export RUSTC_BOOTSTRAP=1
cargo build -Z build-std=std,panic_unwind --profile dist --target "$triple" "$@"
