#!/usr/bin/env bash
# What the bytes of a program are: the sizes of its symbols, summed by crate.
#
#     targets/sizes.sh PROGRAM [DEPTH]
#
# PROGRAM must have its symbols: build it with `--config profile.dist.strip=false`. A method
# counts for the crate of the type that it is for; generic code of the standard library counts as
# `core`, `alloc` or `std`, whoever made it necessary. DEPTH 2 sums by the modules of the crates.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: $0 PROGRAM [DEPTH]" >&2; exit 2; }

nm -C -S --size-sort "$1" | awk -v depth="${2:-1}" '
    function hexadecimal(text,   i, n) {
        n = 0
        for (i = 1; i <= length(text); i++)
            n = n * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
        return n
    }
    {
        size = hexadecimal($2)
        name = $0
        sub(/^[^ ]+ [^ ]+ [^ ] /, "", name)
        # From `<&mut dyn a::B as c::D>::e` to `a::B as c::D>::e`.
        while (sub(/^(<|&|\*|\[|\(|mut |const |dyn |impl )/, "", name)) {}
        if (!match(name, /^[a-z_][a-z0-9_]*::/)) name = (name ~ /^[A-Z]/ ? "core::" : "C and assembly::")
        count = split(name, part, "::")
        key = part[1]
        for (i = 2; i <= depth && i < count; i++) key = key "::" part[i]
        sub(/[ <>{,].*/, "", key) 
        bytes[key] += size
        total += size
    }
    END {
        for (key in bytes) printf "%9.1f KiB  %s\n", bytes[key] / 1024, key | "sort -rn"
        close("sort -rn")
        printf "%9.1f KiB  all symbols\n", total / 1024
    }'
