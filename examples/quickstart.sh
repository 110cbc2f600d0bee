#!/usr/bin/env bash
# Builds klog, starts a daemon in a folder of its own, pipes real input through it, and cleans up after itself.
#
#   examples/quickstart.sh [FILE]    FILE is read line by line; without it, this repository's git log as JSON lines
#
# KLOG names a klog that is already built.
set -euo pipefail
input=${1-}
if [ -n "$input" ]; then input=$(realpath -- "$input"); fi
cd "$(dirname "$0")/.."

if [ -z "${KLOG-}" ]; then
    cargo build --release --locked
    KLOG=$PWD/target/release/klog
fi
klog() { "$KLOG" "$@"; }
say() { printf '\n\033[1m$ %s\033[0m\n' "$*"; }

folder=$(mktemp -d)
export KLOG_DATA=$folder/data
unset KLOG_BROKER KLOG_PROFILE KLOG_CONFIG KLOG_AUTOSTART
clean_up() {
    klog broker stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap clean_up EXIT

if [ -n "$input" ]; then
    cp -- "$input" "$folder/input"
elif git rev-parse --git-dir >/dev/null 2>&1; then
    # Structural quotes travel as \x01, so that quotes in names and subjects can be escaped.
    git log --format='{%x01commit%x01:%x01%h%x01,%x01author%x01:%x01%an%x01,%x01date%x01:%x01%aI%x01,%x01subject%x01:%x01%s%x01}' |
        sed -e 's/[\\"]/\\&/g' -e 's/\x01/"/g' >"$folder/input"
else
    cp README.md "$folder/input"
fi
lines=$(wc -l <"$folder/input")

say "klog broker start"
klog broker start

say "klog produce history < input      # $lines lines"
klog produce history <"$folder/input"

say "klog consume history -g readers -e | head -3"
klog consume history -g readers -e >"$folder/first"
sed -n 1,3p "$folder/first"
echo "... $(wc -l <"$folder/first") lines in all"

say "klog consume history -g readers -e | wc -l     # the same group again: nothing new"
klog consume history -g readers -e | wc -l

say "klog consume history -g others -n 2 -f '%p:%o %v\\n'     # another group begins at the start"
klog consume history -g others -n 2 -f '%p:%o %v\n'

say "klog group lag readers others"
klog group lag readers
klog group lag others

say "ls DATA/history-0      # the files are Apache Kafka's format"
ls -l "$KLOG_DATA/history-0" | tail -n +2

cmp "$folder/input" "$folder/first"
say "klog broker stop"
klog broker stop
echo "What went in came out, byte for byte."
