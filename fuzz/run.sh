#!/bin/sh
# Builds the fuzz targets with libFuzzer, which without a sanitizer needs no nightly toolchain, and runs each of them.
# Arguments: the seconds for each target, then optionally the targets. Findings are in fuzz/artifacts, inputs in fuzz/corpus.
set -eu
cd "$(dirname "$0")"
seconds=${1:-10}
[ $# = 0 ] || shift
[ $# != 0 ] || set -- syntax edit intent data store
target=$(rustc -vV | sed -n 's/^host: //p')
# The flags of cargo-fuzz: coverage of edges and comparisons in all crates.
flags="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4"
flags="$flags -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table"
flags="$flags -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
CARGO_TARGET_DIR=target RUSTFLAGS=$flags ${CARGO:-cargo} build --quiet --release --locked --target "$target"
seeds=$(mktemp -d)
trap 'rm -rf "$seeds"' EXIT
for name; do
    mkdir -p "corpus/$name" "artifacts/$name" "$seeds/$name"
    # Seeds the corpus with the golden cases, which a fuzzer would take long to find by itself.
    case $name in
        syntax | edit) find ../tests/golden \( -name '*.nspawn' -o -name '*.conf' \) -type f ;;
        *) find ../tests/golden/cases ../examples -name '*.json' -size -8k -type f ;;
    esac | nl | while read -r number path; do cp "$path" "$seeds/$name/$number"; done
    [ -n "$(ls -A "$seeds/$name")" ] || { echo "$name: no golden case to begin with"; exit 1; }
    status=0
    "target/$target/release/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 -max_len=8192 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix="artifacts/$name/" "corpus/$name" "$seeds/$name" \
        > "$seeds/log" 2>&1 || status=$?
    grep -E 'number_of_executed_units|ERROR|panicked|SUMMARY|BINGO|Test unit written' "$seeds/log" | sed "s/^/$name: /"
    [ -z "$(ls -A "artifacts/$name")" ] || { echo "$name: see fuzz/artifacts/$name"; exit 1; }
    if [ "$status" != 0 ] || ! grep -q 'number_of_executed_units: [1-9]' "$seeds/log"; then
        cat "$seeds/log"
        echo "$name: ended with status $status"
        exit 1
    fi
done
