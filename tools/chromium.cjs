// Finds the browser for the tests: $CHROMIUM, the system's, or Playwright's. Run as a program, it prints the path.

const { existsSync } = require("node:fs");
const { delimiter, join } = require("node:path");

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

function chromium() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  const dirs = (process.env.PATH ?? "").split(delimiter);
  const found = NAMES.flatMap((name) => dirs.map((dir) => join(dir, name))).find(existsSync);
  return found ?? require(join(__dirname, "../end2end/node_modules/@playwright/test")).chromium.executablePath();
}

module.exports = { chromium };

if (require.main === module) {
  const path = chromium();
  console.log(path);
  process.exitCode = existsSync(path) ? 0 : 1;
}
