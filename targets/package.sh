#!/usr/bin/env bash
# Makes a Debian package of a program that has been built: ddnm_VERSION_ARCHITECTURE.deb in the
# folder `debian` of the target folder.
#
#     cargo build --profile dist --target aarch64-unknown-linux-musl
#     targets/package.sh aarch64-unknown-linux-musl
#
# Needs dpkg-deb, and qemu-user where the program is for another processor: it prints its own
# manual page. MAINTAINER="Name <mail>" says who answers for the package.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 TRIPLE" >&2; exit 2; }
triple=$1
cd "$(dirname "$0")/.."
out=${CARGO_TARGET_DIR:-target}
program=$out/$triple/dist/ddnm
[ -f "$program" ] || {
    echo "$program: expected a program; cargo build --profile dist --target $triple" >&2
    exit 1
}

case $triple in
aarch64-*) architecture=arm64 emulator=qemu-aarch64 ;;
armv7-*) architecture=armhf emulator=qemu-arm ;;
x86_64-*) architecture=amd64 emulator=qemu-x86_64 ;;
*) echo "$triple: expected aarch64, armv7 or x86_64" >&2; exit 2 ;;
esac
[ "$architecture" != "$(dpkg --print-architecture)" ] || emulator=
ddnm() { $emulator "$program" "$@"; }

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
# The same sources give the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
share=$root/usr/share doc=$root/usr/share/doc/ddnm

install -Dm755 "$program" "$root/usr/bin/ddnm"
install -Dm644 -t "$share/ddnm" models/*.ddnm models/*.toml
install -Dm644 -t "$root/usr/lib/systemd/system" targets/ddnm-stream@.service
mkdir -p "$share/man/man1" "$share/bash-completion/completions" \
    "$share/zsh/vendor-completions" "$share/fish/vendor_completions.d" "$doc"
ddnm manual man | gzip -9n >"$share/man/man1/ddnm.1.gz"
ddnm manual bash >"$share/bash-completion/completions/ddnm"
ddnm manual zsh >"$share/zsh/vendor-completions/_ddnm"
ddnm manual fish >"$share/fish/vendor_completions.d/ddnm.fish"
gzip -9n <CHANGELOG.md >"$doc/changelog.gz"
install -m644 README.md "$doc/README.md"
{
    printf 'ddnm %s: MIT or Apache-2.0, as you like.\n\n' "$version"
    cat LICENSE-MIT
    printf '\n'
    cat LICENSE-APACHE
    printf '\nThe program contains the crates that the file "dependencies" names, the standard library of\n'
    printf 'Rust (MIT or Apache-2.0), and the C library musl (MIT) or, for triples in gnu, glibc (LGPL).\n'
} >"$doc/copyright"
# Every crate that may be inside, with the licence that it names and the texts that come with it.
sources=(${CARGO_HOME:-$HOME/.cargo}/registry/src/*)
cargo tree --locked --edges normal --prefix none --target "$triple" --format '{p} {l}' |
    sed 's/ ([^)]*)//g; s/ (\*)//' | sort -u | grep -v '^ddnm ' |
    while read -r name crate licence; do
        printf '== %s %s: %s\n\n' "$name" "${crate#v}" "$licence"
        find "${sources[@]}" -maxdepth 2 -path "*/$name-${crate#v}/*" -type f \
            \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \) -print0 |
            sort -z | xargs -0r cat
        printf '\n'
    done | gzip -9n >"$doc/dependencies.gz"

mkdir "$root/DEBIAN"
cat >"$root/DEBIAN/control" <<CONTROL
Package: ddnm
Version: $version
Architecture: $architecture
Maintainer: ${MAINTAINER:-ddnm developers <ddnm@localhost>}
Installed-Size: $(du -sk --apparent-size "$root/usr" | cut -f1)
Section: graphics
Priority: optional
Description: restore camera frames with a diffusion prior
 Takes a measurement (a mosaic of a sensor, a small, noisy or incomplete
 picture) back to the scene, and proves on the file that it wrote that the
 result agrees with the measurement. Needs no other package.
CONTROL
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
chmod -R u=rwX,go=rX "$root"
mkdir -p "$out/debian"
package=$out/debian/ddnm_${version}_$architecture.deb
dpkg-deb --root-owner-group -Zxz --build "$root" "$package" >/dev/null
echo "$package"
