#!/usr/bin/env bash
# `make measure-setup`: how long set-up and the first build take on a machine that has only Rust and Node.js. Everything
# is fresh, in a folder of its own that is removed at the end: cargo's home, a copy of the toolchain without the library
# for wasm32, the tools, the targets, a copy of the project as committed or added. The system's packages are as they are.
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
tools/setup.sh test | tee "$fresh/log"
setup=$((SECONDS - start))
start=$SECONDS
. tools/env.sh
cargo fetch --locked
fetch=$((SECONDS - start))
start=$SECONDS
cargo leptos build --project duplex --release --split --precompress
build=$((SECONDS - start))

printf '\n%s, %s cores, %s\n\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" "$(nproc)" "$(rustc --version)"
printf 'seconds\n'
time_of
printf '%d\tset-up, all of it\n%d\tdownloading the dependencies\n%d\tthe first release build\n' "$setup" "$fetch" "$build"
