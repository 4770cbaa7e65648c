#!/usr/bin/env bash
# Instructions that an ARM64 processor executes for one evaluation of the built-in prior: ours and
# tract's, counted under qemu. Instructions are not time.
#
#   benches/instructions/run.sh [SIDE] [MODEL.ddnm]
#
# With a packed model, ours alone. QEMU_CPU names the processor, e.g. cortex-a53.
#
# On Debian, needs gcc, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross, libglib2.0-dev, qemu-user, the
# rustup target, and qemu's plugin header from its source package (`apt-get source qemu`, a
# `deb-src` line in the sources): its folder in QEMU_PLUGIN_INCLUDE.
set -euo pipefail
side=${1:-64}
model=${2:+$(realpath "$2")}
include=${QEMU_PLUGIN_INCLUDE:?the folder of qemu-plugin.h, include/qemu of the source package of qemu}
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# shellcheck disable=SC2046
gcc -shared -fPIC -O2 -I "$include" $(pkg-config --cflags glib-2.0) \
    -o "$work/count.so" benches/instructions/count.c
program=$(cargo bench --bench engine --no-run --target aarch64-unknown-linux-gnu 2>&1 |
    sed -n 's/.*Executable.*(\(.*\))/\1/p')

# The instructions of a process that makes so many evaluations.
count() {
    echo "run $1 $side 1 1 $2" |
        QEMU_LD_PREFIX=/usr/aarch64-linux-gnu qemu-aarch64 -plugin "$work/count.so" -d plugin \
            "$program" serve ${model:+model "$model"} 2>&1 | sed -n 's/^instructions //p'
}

echo "| engine | instructions per evaluation, ${side}x${side}, millions |"
echo "|---|---|"
engines=(ddnm)
[ -n "$model" ] || engines+=(tract)
for engine in "${engines[@]}"; do
    # The difference leaves out what happens once.
    one=$(count "$engine" 1)
    four=$(count "$engine" 4)
    echo "| $engine | $(((four - one) / 3000000)) |"
done
