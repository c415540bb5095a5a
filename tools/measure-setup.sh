#!/usr/bin/env bash
# `make measure-setup`: measures set-up and the first build on a machine with only Rust and Node.js. It works in a temporary directory
# with a new cargo home, a copy of the toolchain without the library for wasm32, new tools and targets, and a copy of the project's
# tracked and untracked files. System packages are not reinstalled.
set -euo pipefail
cd "$(dirname "$0")/.."

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)

echo "preparing a fresh machine in $fresh"
mkdir -p "$fresh/cargo/bin" "$fresh/rustup/toolchains" "$fresh/project"
cp -a "$sysroot" "$fresh/rustup/toolchains/"
cp "${RUSTUP_HOME:-$HOME/.rustup}/settings.toml" "$fresh/rustup/"
for program in rustup cargo rustc rustdoc; do cp -a "$(command -v $program)" "$fresh/cargo/bin/"; done
[ ! -f "$home/config.toml" ] || cp "$home/config.toml" "$fresh/cargo/"
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$fresh/project"

export CARGO_HOME=$fresh/cargo RUSTUP_HOME=$fresh/rustup CARGO_TARGET_DIR=$fresh/target npm_config_cache=$fresh/npm
RUSTUP_TOOLCHAIN=$(basename "$sysroot")
export RUSTUP_TOOLCHAIN
unset DUPLEX_TOOLS
PATH=$CARGO_HOME/bin:$(tr ':' '\n' <<<"$PATH" | grep -vxF "$home/bin" | paste -sd :)
cd "$fresh/project"
rustup target remove wasm32-unknown-unknown

time_of() { sed -nE 's/^set-up: (.*): ([0-9]+) s$/\2\t  \1/p' "$fresh/log"; }
start=$SECONDS
tools/build.sh | tee "$fresh/log"
build=$((SECONDS - start))
start=$SECONDS
tools/setup.sh test | tee -a "$fresh/log"
more=$((SECONDS - start))

printf '\n%s, %s cores, %s\n\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(rustc --version)"
printf 'seconds\n'
time_of
printf '%d\tuntil `make run` serves: set-up, download and release build, side by side\n' "$build"
printf '%d\tadditional set-up for the tests\n' "$more"
