# Paths and environment for the scripts here and for the Makefile. Sourced from the project's directory, never run.

cargo_home=${CARGO_HOME:-$HOME/.cargo}
target=${CARGO_TARGET_DIR:-target}

# Programs that setup.sh builds or downloads are separate from those that you installed, and shared by all clones.
export DUPLEX_TOOLS=${DUPLEX_TOOLS:-$cargo_home/duplex}
export PATH="$DUPLEX_TOOLS/bin:$PWD/tools/bin:$PWD/tools/node_modules/.bin:$PATH:$cargo_home/bin"

# The browser comes from the system, or from `npx playwright install chromium` if it has none.
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1
