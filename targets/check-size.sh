#!/usr/bin/env bash
# Checks that a program is what is to be shipped: static, stripped, and not larger than it may be.
#
#     targets/check-size.sh PROGRAM MIB [MODEL...]
#
# The models named are inside the program and do not count.
set -euo pipefail
[ $# -ge 2 ] || { echo "usage: $0 PROGRAM MIB [MODEL...]" >&2; exit 2; }
program=$1 limit=$(($2 << 20))
shift 2

fail() { echo "$program: expected $1, found $2" >&2; exit 1; }

headers=$(readelf -lW "$program")
if grep -q INTERP <<<"$headers"; then fail "a static program" "one that needs a loader"; fi
if readelf -dW "$program" | grep -q NEEDED; then fail "a static program" "one that needs libraries"; fi
if readelf -SW "$program" | grep -q SYMTAB; then fail "a stripped program" "symbols"; fi
# Kernels with pages of 16 or 64 KiB cannot load segments that are aligned to less.
case $(readelf -hW "$program") in
*AArch64*)
    awk '$1 == "LOAD" { print $NF }' <<<"$headers" | while read -r align; do
        [ $((align)) -ge 65536 ] || fail "segments aligned to 64 KiB" "$align"
    done
    ;;
esac

bytes=$(stat -c %s "$program")
weights=0
for model in "$@"; do weights=$((weights + $(stat -c %s "$model"))); done
rest=$((bytes - weights))
[ "$rest" -le "$limit" ] || fail "at most $limit bytes" "$rest"
echo "$program: static, $bytes bytes, of which $weights are weights; at most $limit without them"
