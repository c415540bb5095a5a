#!/usr/bin/env bash
# Checks the dependencies: bans, licences and sources of deny.toml for every Cargo.lock; advisories, yanked versions and npm's audit if
# their databases can be reached. A database that cannot be reached is reported and is not a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

readonly RUST=(. tools/cargo benches/load)
readonly NPM=(tools end2end benches benches/peers/next)
readonly LOOKUP_SECONDS=60
# The first run fetches the crates of three lock files.
readonly FETCH_SECONDS=300
failed=0
missed=()

main() {
  local at
  for at in "${RUST[@]}"; do
    deny "$at" bans licenses sources || failed=1
  done
  advisories
  yanked
  audit
  [ ${#missed[@]} = 0 ] || printf 'NOT CHECKED: %s\n' "${missed[@]}"
  return "$failed"
}

# deny DIRECTORY CHECK…
deny() {
  local status=0
  printf '%s/Cargo.lock: ' "$1"
  timeout $FETCH_SECONDS cargo-deny --locked --workspace --manifest-path "$1/Cargo.toml" --config deny.toml check --hide-inclusion-graph "${@:2}" || status=$?
  [ "$status" != 124 ] || echo "no answer within $FETCH_SECONDS s"
  return "$status"
}

advisories() {
  local at
  if ! timeout $LOOKUP_SECONDS cargo-deny --config deny.toml fetch db >/dev/null 2>&1; then
    missed+=('advisories: the RustSec database cannot be reached from here')
    return
  fi
  for at in "${RUST[@]}"; do
    deny "$at" advisories || failed=1
  done
}

yanked() {
  local at
  for at in "${RUST[@]}"; do
    if ! timeout $LOOKUP_SECONDS cargo update --quiet --dry-run --manifest-path "$at/Cargo.toml"; then
      missed+=("yanked versions: the index of crates.io cannot be reached from here")
      return
    fi
  done
  node tools/yanked.mjs "${RUST[@]/%//Cargo.lock}" || failed=1
}

# npm also exits with 1 if its registry does not support audits; only a real report mentions vulnerabilities.
audit() {
  local at report
  for at in "${NPM[@]}"; do
    report=$(timeout $LOOKUP_SECONDS npm audit --prefix "$at" --package-lock-only --audit-level=high 2>&1)
    case $? in
      0) printf '%s/package-lock.json: no known severe vulnerability\n' "$at" ;;
      *) if grep -q 'vulnerabilit' <<<"$report"; then
        printf '%s/package-lock.json: %s\n' "$at" "$report"
        failed=1
      else
        missed+=('npm audit: the registry does not support audits')
        return
      fi ;;
    esac
  done
}

main
