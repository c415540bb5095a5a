#!/usr/bin/env bash
# `make build`: builds the server and the site for release, under target/. The server needs only Rust and a C compiler, so it is
# compiled in parallel with the rest of the set-up and the front end: each of the three keeps only one core busy for long stretches.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

main() {
  tools/setup.sh system
  mkdir -p "$target"
  log=$target/server-build.log
  echo "compiling the server in parallel with the front end: $log"
  server >"$log" 2>&1 &
  local server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  tools/setup.sh
  cargo leptos build --project duplex --release --split --precompress --frontend-only
  wait "$server" || { tail -n 40 "$log" >&2; echo "the build of the server failed: $log" >&2; exit 1; }
  trap - EXIT
  tail -n 1 "$log"
}

# Compiles the same crates with the same features as `cargo leptos build`.
server() {
  cargo build --release --locked --package duplex --bin duplex --no-default-features --features ssr
}

main
