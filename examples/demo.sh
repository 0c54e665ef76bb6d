#!/usr/bin/env bash
# Encrypts a file under a key of the embedded key service, decrypts it again, and compares.
#
#   bash examples/demo.sh [FILE]
#
# Without FILE it makes one of 1 GiB. Everything it writes goes to a temporary directory that is removed at the end (3.1 GiB at most).
set -euo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
(cd "$here" && cargo build --release --locked --features cli)
program=${CARGO_TARGET_DIR:-$here/target}/release/ncp-envelope

work=$(mktemp -d "${TMPDIR:-/tmp}/ncp-envelope-demo.XXXXXX")
trap 'rm -rf "$work"' EXIT
# The demonstration's keys are not to stay among your own.
export XDG_DATA_HOME=$work/data

if [ $# -gt 0 ]; then
    file=$1
else
    file=$work/one-gibibyte
    echo "making 1 GiB of random bytes ..."
    head -c 1073741824 /dev/urandom > "$file"
fi

# Runs the program and says how long it took and, where /proc tells, how much memory it had at its peak.
measured() {
    local start peak=0 now pid
    start=$(date +%s%N)
    "$program" "$@" &
    pid=$!
    while kill -0 "$pid" 2> /dev/null; do
        now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2> /dev/null || true)
        [ -z "$now" ] || peak=$now
        sleep 0.02
    done
    wait "$pid"
    echo "$1: $(($(($(date +%s%N) - start)) / 1000000)) ms, at most $((peak / 1024)) MiB of memory"
}

measured encrypt --local -c source=demo -o "$work/message.ncpe" "$file"
"$program" inspect "$work/message.ncpe"
measured decrypt --local -c source=demo -o "$work/plaintext" "$work/message.ncpe"
cmp "$file" "$work/plaintext"
echo "the decrypted file is identical: $(wc -c < "$work/plaintext") bytes"
