#!/usr/bin/env bash
# `make build`: builds the server and the site for release, under target/. Three things run in parallel, since each keeps only one core
# busy for long stretches: the server, which needs only Rust and a C compiler; the browser half, which also needs Rust's library for
# wasm32; and the rest of the set-up. The browser half takes longest one step after another, so the server is compiled with what it leaves.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

main() {
  tools/setup.sh system
  mkdir -p "$target"
  echo "compiling the server and the browser half in parallel: $target/server-build.log, $target/browser-build.log"
  server >"$target/server-build.log" 2>&1 &
  local server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  tools/setup.sh wasm
  browser >"$target/browser-build.log" 2>&1 &
  local browser=$!
  trap 'kill "$server" "$browser" 2>/dev/null || true' EXIT
  tools/setup.sh
  finish "$browser" 'browser half' "$target/browser-build.log"
  cargo leptos build --project duplex --release --split --precompress --frontend-only
  finish "$server" server "$target/server-build.log"
  trap - EXIT
}

# The next two compile the same crates with the same features and flags as `cargo leptos build`, which then finds them compiled.
server() {
  exec nice -n 10 cargo build --release --locked --package duplex --bin duplex --no-default-features --features ssr
}

browser() {
  export RUSTFLAGS="${RUSTFLAGS:---cfg erase_components} -Clink-args=--emit-relocs"
  exec cargo build --profile wasm-release --locked --package duplex-browser --lib --no-default-features \
    --target wasm32-unknown-unknown --target-dir "$target/front"
}

# finish PID NAME LOG: waits for a build; fails if it did.
finish() {
  wait "$1" || { tail -n 40 "$3" >&2; echo "the build of the $2 failed: $3" >&2; exit 1; }
  tail -n 1 "$3"
}

main
