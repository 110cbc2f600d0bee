#!/usr/bin/env bash
# Sales as JSON in, the new price per quantity out: produces sales.jsonl, runs prices.toml once, shows what came of it,
# and holds it against expected.jsonl. KLOG names a klog that is already built.
set -euo pipefail
cd "$(dirname "$0")"

KLOG=${KLOG-klog}
klog() { "$KLOG" "$@"; }

folder=$(mktemp -d)
export KLOG_DATA=$folder/data
unset KLOG_BROKER KLOG_PROFILE KLOG_CONFIG KLOG_AUTOSTART
clean_up() {
    klog broker stop >/dev/null 2>&1 || true
    rm -rf "$folder"
}
trap clean_up EXIT

klog pipeline test prices.toml
klog produce sales <sales.jsonl
klog pipeline run prices.toml --once 2>"$folder/said" && code=0 || code=$?

echo "prices:"
klog consume prices -e | tee "$folder/prices"
echo "bad sales, and why:"
klog consume bad-sales -e -f '%v\n  %h{%k=%v }\n'

# Two of the sales are bad: exit 6 says that some records failed and the others did not.
[ "$code" = 6 ] || { cat "$folder/said" >&2; exit 1; }
cmp expected.jsonl "$folder/prices"
