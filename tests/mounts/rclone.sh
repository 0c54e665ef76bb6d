#!/usr/bin/env bash
# A file system without links, exclusive renames and nameless files: rclone's mount of a directory, with its cache and without; without it, files can only be
# written in order. The program writes whole files there as anywhere else. Takes the program's path; needs rclone, fusermount3 and /dev/fuse.
set -euo pipefail

program=$(realpath "$1")
work=$(mktemp -d)
mount=$work/mount

finish() {
    # The messages of the program and the mount.
    [ $? -eq 0 ] || cat "$work/log" >&2
    ! mountpoint -q "$mount" || fusermount3 -u -z "$mount"
    rm -rf "$work"
}
trap finish EXIT

fail() {
    echo "mount: $*" >&2
    exit 1
}

export XDG_DATA_HOME=$work/data XDG_CONFIG_HOME=$work/config XDG_CACHE_HOME=$work/cache HOME=$work
mkdir -p "$mount" "$work/behind" "$work/data" "$work/config" "$work/cache"
head -c 100 /dev/urandom >"$work/short"
head -c 5000000 /dev/urandom >"$work/long"

run() {
    "$program" "$@" 2>>"$work/log"
}

names() {
    find "$mount" -mindepth 1 -printf '%f\n' | sort | xargs
}

check() {
    local mode=$1 file
    rclone mount ":local:$work/behind" "$mount" --vfs-cache-mode "$mode" --vfs-write-back 0s >>"$work/log" 2>&1 &
    for _ in $(seq 100); do
        ! mountpoint -q "$mount" || break
        sleep 0.1
    done
    mountpoint -q "$mount" || fail "rclone did not mount"
    # Otherwise this test shows nothing.
    touch "$mount/probe"
    ! ln "$mount/probe" "$mount/linked" 2>/dev/null || fail "this file system has links"
    rm "$mount/probe"
    cd "$mount"
    for file in short long; do
        cp "$work/$file" "$file"
        run encrypt --local "$file"
        run decrypt --local -o out "$file.ncpe"
        cmp out "$work/$file"
        # An existing file is kept, and replaced on request.
        ! run decrypt --local -o out "$file.ncpe" || fail "out was replaced unasked"
        run encrypt --local --force -o out "$file"
        run decrypt --local --force -o "$file" out
        cmp "$file" "$work/$file"
        # A refusal leaves nothing behind.
        (cat "$file.ncpe" && printf x) >"$work/forged"
        ! run decrypt --local -o refused "$work/forged" || fail "a forgery was accepted"
        [ "$(names)" = "$(printf '%s\n' "$file" "$file.ncpe" out | sort | xargs)" ] || fail "$mode, $file: there is $(names)"
        rm "$file" "$file.ncpe" out
    done
    run cipher custom-key --local -o wrapped --plaintext plain
    run cipher custom-key --local --force -o wrapped --plaintext plain
    run cipher decrypt --local -o again wrapped
    cmp plain again
    [ "$(names)" = "again plain wrapped" ] || fail "$mode, custom-key: there is $(names)"
    rm again plain wrapped
    cd "$work"
    fusermount3 -u "$mount"
    wait
    echo "$mode: ok"
}

check off
check writes
