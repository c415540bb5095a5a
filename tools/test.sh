#!/usr/bin/env bash
# `make test`: runs all checks, continuing after failures; the last lines list the failures and count the tests of all checks.
# ONLY=WORD runs only the checks whose name contains WORD.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

main() {
  tools/setup.sh test || exit 1
  results=$(mktemp -d)
  build='' built=no
  trap 'kill $build 2>/dev/null; rm -rf "$results"' EXIT
  broken=0 # checks that failed without a failed test: lints, compile errors
  [ ! -t 1 ] || export CARGO_TERM_COLOR=always
  local hydrate=(--no-default-features --features hydrate) failed
  # All packages with the same features, so that all checks share build artifacts; with traces, which the release build omits.
  readonly server=(--workspace --exclude duplex-browser --features duplex/otel)
  # Most tests of the server wait: for processes, brokers and timeouts.
  export RUST_TEST_THREADS=${RUST_TEST_THREADS:-$((2 * $(nproc)))}

  if selected 'tests in Chromium'; then
    release_build >"$results/release-build" 2>&1 &
    build=$!
  fi
  check 'format' cargo fmt --all --check
  check 'format, tools' cargo fmt --all --check --manifest-path tools/cargo/Cargo.toml
  check 'lints, server' cargo clippy --locked "${server[@]}" --all-targets -- -D warnings
  check 'lints, hub without sqlite' cargo clippy --locked --package duplex-hub --no-default-features --all-targets -- -D warnings
  check 'lints, hub with postgres' cargo clippy --locked --package duplex-hub --no-default-features --features postgres --all-targets -- -D warnings
  check 'lints, browser' cargo clippy --locked "${hydrate[@]}" --lib --target wasm32-unknown-unknown -- -D warnings
  check 'lints, browser half' cargo clippy --locked --package duplex-leptos --features hydrate --target wasm32-unknown-unknown -- -D warnings
  check 'lints, browser entry' cargo clippy --locked --package duplex-browser --target wasm32-unknown-unknown -- -D warnings
  check 'lints, tally in the browser' cargo clippy --locked --package tally "${hydrate[@]}" --lib --target wasm32-unknown-unknown -- -D warnings
  check 'documentation' env RUSTDOCFLAGS='-D warnings' cargo doc --locked "${server[@]}" --no-deps --document-private-items
  check 'supply' tools/supply.sh
  check 'compile, tests of the server' cargo test --locked "${server[@]}" --no-run
  # Some tests measure time, so nothing is compiled beside them.
  [ -z "$build" ] || finish_release_build
  check 'tests, server' cargo test --locked "${server[@]}"
  check 'tests, browser' cargo test --locked --package duplex --package duplex-leptos --no-default-features --features duplex/hydrate,duplex-leptos/hydrate --lib
  check 'tests in Chromium' browser_tests
  check 'tests in Chromium, tally' tally_browser_tests

  if [ -s "$results/failures" ]; then
    printf '\n== failures\n'
    cat "$results/failures"
  fi
  failed=$(($(sum 2 "$results/counts") + broken))
  printf '\n%d passed, %d failed\n' "$(sum 1 "$results/counts")" "$failed"
  [ "$failed" = 0 ]
}

selected() { [[ $1 == *"${ONLY:-}"* ]]; }

# check NAME COMMAND…: runs a check. If its name begins with "tests", at least one test must pass, because `cargo leptos end-to-end`
# runs no test and reports success if the build fails.
check() {
  local name=$1 start=$SECONDS status=0 failed
  selected "$name" || return 0
  printf '\n== %s\n' "$name"
  "${@:2}" 2>&1 | tee "$results/last" || status=1
  count "$results/last" >"$results/counted"
  cat "$results/counted" >>"$results/counts"
  failed=$(sum 2 "$results/counted")
  [[ $name != tests* || $(sum 1 "$results/counted") != 0 ]] || status=1
  [ "$status" = 0 ] || [ "$failed" != 0 ] || broken=$((broken + 1))
  [ "$status" = 0 ] || failures "$name" "$results/last" >>"$results/failures"
  printf -- '-- %s: %s, %d s\n' "$name" "$([ "$status" = 0 ] && echo ok || echo FAILED)" $((SECONDS - start))
}

# count FILE: prints a line `PASSED FAILED` for each summary of cargo's test runner or Playwright.
count() {
  plain "$1" | sed -nE \
    -e 's/^test result: .* ([0-9]+) passed; ([0-9]+) failed;.*/\1 \2/p' \
    -e 's/^ +([0-9]+) passed( \(.*\))?$/\1 0/p' \
    -e 's/^ +([0-9]+) (failed|flaky|interrupted|did not run)$/0 \1/p'
}

# failures CHECK FILE: prints the check's name and the failed tests, Playwright's with their reports.
failures() {
  printf '%s\n' "$1"
  plain "$2" | sed -nE 's/^test (.*) \.\.\. FAILED$/  \1/p'
  plain "$2" | awk '/^  +[0-9]+\) /{ story = 1 } /^  +[0-9]+ (failed|flaky)$/{ story = 0 } story && lines++ < 200'
}

plain() { sed -E 's/\x1b\[[0-9;]*m//g' "$1"; }

sum() { awk -v column="$1" '{ n += $column } END { print n + 0 }' "$2"; }

# Builds for the tests in Chromium what `make run` builds, if that is not there, with separate files of the site, so that `make run` and
# `make dev` may run at the same time. It runs beside the checks before the tests, of which most keep one core busy.
release_build() { LEPTOS_SITE_ROOT=target/end2end exec nice -n 19 tools/build.sh; }

finish_release_build() {
  local start=$SECONDS
  ! wait "$build" || built=yes
  build=
  printf '\n-- release build: %s, %d s more than the checks before\n' "$([ "$built" = yes ] && echo ok || echo FAILED)" $((SECONDS - start))
}

# Tests a release build. Playwright runs against the server that cargo-leptos starts, on a free port.
browser_tests() {
  local port
  port=$(node tools/port.mjs free)
  export LEPTOS_SITE_ADDR=127.0.0.1:$port LEPTOS_SITE_ROOT=target/end2end
  export DUPLEX_URL=http://127.0.0.1:$port DUPLEX_SITE=target/end2end DUPLEX_BIN=$target/release/duplex
  # All visitors share one address, and every test creates rooms.
  export DUPLEX_LIMITS=${DUPLEX_LIMITS:-off} DUPLEX_LOG=${DUPLEX_LOG:-warn} DUPLEX_DATA=$results/duplex.db
  # Options that the specs need and that are off by default; the token is for signing in as operator.
  export DUPLEX_DEMO=on DUPLEX_FAULTS=on DUPLEX_TOKEN=${DUPLEX_TOKEN:-a-token-for-the-tests}
  cat "$results/release-build"
  [ "$built" = yes ] && cargo leptos end-to-end --project duplex --release --split --server-only
}

# Tests the example. Its server is compiled with the features of the workspace's tests, whose check has already compiled its
# dependencies.
tally_browser_tests() {
  export TALLY_BIN=$target/debug/tally TALLY_SITE=target/tally
  cargo test --locked "${server[@]}" --test tally --no-run &&
    cargo leptos build --project tally --frontend-only &&
    (cd end2end && npx playwright test --config tally)
}

main
exit
