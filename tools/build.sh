#!/usr/bin/env bash
# `make build`: the server and the site as users get them, under target/. The server needs no more than Rust and a C compiler, so it
# is compiled beside the rest of the set-up and the front end: each of the three has long stretches that keep one core busy.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

main() {
  tools/setup.sh system
  mkdir -p "$target"
  log=$target/server-build.log
  echo "the server is compiled beside the front end: $log"
  server >"$log" 2>&1 &
  local server=$!
  trap 'kill "$server" 2>/dev/null || true' EXIT
  tools/setup.sh
  cargo leptos build --project duplex --release --split --precompress --frontend-only
  wait "$server" || { tail -n 40 "$log" >&2; echo "the server cannot be built: $log" >&2; exit 1; }
  trap - EXIT
  tail -n 1 "$log"
}

# As `cargo leptos build` compiles it: the same crates with the same features.
server() {
  cargo build --release --locked --package duplex --bin duplex --no-default-features --features ssr
}

main
