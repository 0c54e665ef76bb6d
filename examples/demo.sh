#!/usr/bin/env bash
# What the program costs and what it protects, shown on this machine.
#
#   bash examples/demo.sh           with a file of 1 GiB that it makes
#   bash examples/demo.sh FILE      with a file of yours, which is only read
#
# The keys are held by the emulator of NCP's key service: a process of its own, which counts its
# calls. Everything is in a temporary directory, in $TMPDIR or target, that is removed at the end.
#
# NCP_ENVELOPE_PROGRAM names a program to show instead of building one.
#
# Written for bash 3.2 and the tools that Linux and macOS both have.
set -euo pipefail
export LC_ALL=C

GIB=1073741824
BUILD_MIB=700
TREE_FILES=1000

fail() {
    echo "demo: $*" >&2
    exit 1
}

# ---- What it takes, before anything is done

here=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$here/target}
program=${NCP_ENVELOPE_PROGRAM:-$target/release/ncp-envelope}
mkdir -p "$target"
base=${TMPDIR:-$target}

if [ $# -gt 0 ]; then
    file=$1
    [ -f "$file" ] && [ -r "$file" ] || fail "$file is not a file that can be read"
    size=$(wc -c < "$file" | tr -d ' ')
    case $file in
    /*) ;;
    *) file=$PWD/$file ;;
    esac
    need=$((size * 2))
    made=
else
    size=$GIB
    need=$((size * 3))
    made=yes
fi
# The trees, and what the file system needs for itself.
need=$((need / 1048576 + 128))
# Larger files take their time, and vary less.
rounds=5
[ "$size" -le $((4 * GIB)) ] || rounds=1

# Free space of the file system that $1 is on, in MiB.
free() {
    df -Pk "$1" | awk 'END { for (i = 2; i <= NF; i++) if ($i ~ /%$/) print int($(i - 1) / 1024) }'
}

# Whether two directories are on the same file system.
together() {
    [ "$(df -Pk "$1" | awk 'END { print $1 }')" = "$(df -Pk "$2" | awk 'END { print $1 }')" ]
}

# check DIRECTORY MIB: refuses if there is less space.
check() {
    local there
    there=$(free "$1")
    [ "$there" -ge "$2" ] ||
        fail "$1 has $there MiB free, and the demo needs $2 MiB there: free some," \
            "or give a smaller FILE, or set TMPDIR to another disk"
}

build_mib=0
if [ -z "${NCP_ENVELOPE_PROGRAM:-}" ] && [ ! -x "$program" ]; then
    build_mib=$BUILD_MIB
fi

echo "What this takes"
echo
if [ -n "${NCP_ENVELOPE_PROGRAM:-}" ]; then
    echo "  build   none: $program"
else
    echo "  build   3 minutes the first time (2 cores), then seconds;"
    echo "          $BUILD_MIB MiB in target and ~/.cargo"
fi
if [ -n "$made" ]; then
    echo "  run     about 30 seconds;"
else
    echo "  run     $((rounds + 1)) times your file of $size bytes each way;"
fi
echo "          $need MiB in a temporary directory, removed at the end"

if together "$base" "$target"; then
    check "$base" $((need + build_mib))
else
    check "$base" "$need"
    check "$target" "$build_mib"
fi

if [ -z "${NCP_ENVELOPE_PROGRAM:-}" ]; then
    echo
    (cd "$here" && cargo build --release --locked --features cli)
fi
echo

# ---- A place that is removed, whatever happens

child=
service=
work=$(mktemp -d "$base/ncp-envelope-demo.XXXXXX")
clean() {
    # A second signal would leave the rest.
    trap '' HUP INT TERM
    # The program removes what it did not finish, if it is asked to end.
    [ -z "$child" ] || { kill "$child" 2> /dev/null && wait "$child" 2> /dev/null; } || true
    [ -z "$service" ] || { kill "$service" 2> /dev/null && wait "$service" 2> /dev/null; } || true
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# In the background, so that a signal need not wait for its end. Standard input is not for it.
run() {
    local status=0
    "$@" < /dev/null &
    child=$!
    wait "$child" || status=$?
    child=
    return $status
}

# gives_up COMMAND...: ends with what the failed command said.
gives_up() {
    cat said >&2
    fail "failed: $*"
}

# timed NAME COMMAND...: adds its seconds to the file NAME.
timed() {
    local name=$1 TIMEFORMAT=%R
    shift
    { time run "$@" 2> said; } 2> time || gives_up "$@"
    tail -n 1 time >> "$name"
}

# peak COMMAND...: $most is the most memory that it had, in MiB.
peak() {
    local name value
    most=
    if [ -r /proc/self/status ]; then
        "$@" < /dev/null 2> said &
        child=$!
        while kill -0 "$child" 2> /dev/null; do
            while read -r name value _; do
                [ "$name" != VmHWM: ] || most=$value
            done 2> /dev/null < "/proc/$child/status" || true
        done
        wait "$child" || gives_up "$@"
        child=
        [ -z "$most" ] || most=$((most / 1024))
    elif [ "$(uname)" = Darwin ]; then
        run /usr/bin/time -l "$@" 2> said || gives_up "$@"
        most=$(awk '/maximum resident set size/ { print int($1 / 1048576) }' said)
    fi
    # Neither of them, or too short a run to be seen.
    most=${most:-?}
}

# ---- The key service

# The program finds it as it would find the real one: by its environment.
unset "${!NCP_@}" "${!NCLOUD_@}" "${!XDG_@}"
export HOME=$work NCLOUD_METADATA_API_ENDPOINT=http://127.0.0.1:1
: > "$work/service"
"$program" emulator --exit-with-parent --admin 127.0.0.1:0 < /dev/null 2> "$work/service-said" > "$work/service" &
service=$!
field() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$work/service"
}
until grep -q '}$' "$work/service"; do
    kill -0 "$service" 2> /dev/null || fail "the emulator of the key service did not start"
    sleep 0.05
done
NCP_KMS_ENDPOINT=$(field url) NCP_KMS_KEY_TAG=$(field key_tag)
NCP_ACCESS_KEY=$(field access_key) NCP_SECRET_KEY=$(field secret_key)
export NCP_KMS_ENDPOINT NCP_KMS_KEY_TAG NCP_ACCESS_KEY NCP_SECRET_KEY
admin=$(field admin_url)

# What the service was asked for so far, by its own record.
calls() {
    local address=${admin#http://}
    exec 4<> "/dev/tcp/${address%:*}/${address##*:}"
    printf 'GET /requests HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$address" >&4
    { grep -o '"action"' <&4 || true; } | wc -l | tr -d ' '
    exec 4>&-
}

# ---- A file

cd "$work"
if [ -n "$made" ]; then
    echo "Making a file of 1 GiB ..."
    file=$work/plain
    run head -c "$size" /dev/urandom > plain
else
    # So that the first of those who read it finds it in the page cache.
    run cat "$file" > /dev/null
fi
plain_copy=(cp)
# A copy that shares its blocks with the source is not one.
! cp --reflink=never /dev/null reflink 2> /dev/null || plain_copy=(cp --reflink=never)
encrypt=("$program" encrypt --no-sync -c source=demo -o file.ncpe "$file")
decrypt=("$program" decrypt --no-sync -c source=demo -o copy file.ncpe)

echo "Encrypting and decrypting it ..."
echo
before=$(calls)
peak "${encrypt[@]}"
encrypt_peak=$most
encrypt_calls=$(($(calls) - before))
peak "${decrypt[@]}"
decrypt_peak=$most
decrypt_calls=$(($(calls) - before - encrypt_calls))
cmp "$file" copy || fail "the decrypted file is another one"

# What is on its way to the disk would be in the way of the first ones, and what is not on the disk
# when it is removed costs the next ones nothing. Who is the first changes from round to round.
rm copy
run sync
plain_copy+=("$file" out)
encrypt=("$program" encrypt --no-sync -c source=demo -o out "$file")
decrypt=("$program" decrypt --no-sync -c source=demo -o out file.ncpe)
for ((round = 0; round < rounds; round++)); do
    for ((turn = round; turn < round + 3; turn++)); do
        case $((turn % 3)) in
        0) timed cp "${plain_copy[@]}" ;;
        1) timed encrypt "${encrypt[@]}" ;;
        2) timed decrypt "${decrypt[@]}" ;;
        esac
        rm out
    done
done

# row NAME MEMORY CALLS
row() {
    paste "$1" cp | awk -v size="$size" -v name="$1" -v memory="$2" -v calls="$3" '
        function median(values, n,    i, j, value) {
            for (i = 2; i <= n; i++) {
                value = values[i]
                for (j = i - 1; j > 0 && values[j] > value; j--) values[j + 1] = values[j]
                values[j + 1] = value
            }
            return (values[int((n + 1) / 2)] + values[int((n + 2) / 2)]) / 2
        }
        { times[NR] = $1 + 0.0005; ratios[NR] = ($1 + 0.0005) / ($2 + 0.0005) }
        END {
            time = median(times, NR)
            printf "  %-10s%9.3f%9.0f%9.2f%11s%17s\n", name, time, size / time / 1e6,
                median(ratios, NR), memory, calls
        }'
}
printf '  %-10s%9s%9s%9s%11s%17s\n' "" seconds MB/s "of cp" "peak MiB" "calls of the KMS"
row cp - -
row encrypt "$encrypt_peak" "$encrypt_calls"
row decrypt "$decrypt_peak" "$decrypt_calls"
echo
echo "  File to file in the page cache, nothing synced, as cp does it; the program's"
echo "  start is included. Medians of $rounds rounds in which the three take turns."
echo "  The decrypted file is identical. The service counted the calls itself."
echo

# ---- A tree

echo "A tree of $TREE_FILES files of 16 KiB, one command each way"
echo
mkdir tree
for ((folder = 0; folder < TREE_FILES / 100; folder++)); do
    mkdir "tree/$folder"
    head -c 1638400 /dev/urandom | split -b 16384 - "tree/$folder/file-"
done

# shown WORDS...: runs `ncp-envelope WORDS` and shows what it says.
shown() {
    echo "  \$ ncp-envelope $*"
    run "$program" "$@" 2> said || gives_up "$@"
    fold -s -w 76 said | sed 's/^/  /'
}
before=$(calls)
shown encrypt -r -o sealed tree
encrypt_calls=$(($(calls) - before))
shown decrypt -r -o opened sealed/tree
decrypt_calls=$(($(calls) - before - encrypt_calls))
diff -r tree opened/tree > said || fail "the decrypted tree is another one"
echo
echo "  The decrypted tree is identical. The service counted $encrypt_calls calls to encrypt"
echo "  and $decrypt_calls to decrypt; each file has a data key of its own."
echo

# ---- What is protected

echo "What the message shows to someone without the key"
echo
# Of a key's tag the beginning is enough.
"$program" inspect file.ncpe | sed 's/\([0-9a-f]\{8\}\)[0-9a-f]\{56\}/\1.../' | sed 's/^/  /'
echo

# refused WORDS...: shows that `ncp-envelope decrypt WORDS` is refused and leaves nothing.
refused() {
    local status=0
    echo "  \$ ncp-envelope decrypt $* -o copy file.ncpe"
    "$program" decrypt "$@" -o copy file.ncpe > said 2>&1 || status=$?
    fold -s -w 76 said | sed 's/^/  /'
    [ "$status" -eq 3 ] || fail "exit code $status, and not 3"
    [ ! -e copy ] || fail "there is an output file"
    ls -A | grep -q '^\.' && fail "there is a temporary file"
    echo "  exit code 3, no output file"
    echo
}

echo "Another context"
echo
refused -c source=elsewhere

length=$(wc -c < file.ncpe | tr -d ' ')
middle=$((length - 1 - size / 2))
byte=$(od -An -tu1 -j "$middle" -N 1 file.ncpe | tr -d ' ')
# shellcheck disable=SC2059
printf "\\$(printf %03o $((255 - byte)))" |
    dd of=file.ncpe bs=1 seek="$middle" conv=notrunc 2> /dev/null
echo "One byte in the middle is flipped (byte $middle of $length)"
echo
refused -c source=demo
