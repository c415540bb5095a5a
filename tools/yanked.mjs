// `yanked.mjs LOCK…`: fails if a lock file contains a version that was yanked from crates.io. Reads cargo's cache of the index, which
// `cargo update --dry-run` updates first.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const indices = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "registry", "index");
const caches = (existsSync(indices) ? readdirSync(indices) : [])
  .filter((name) => name.startsWith("index.crates.io-"))
  .map((name) => join(indices, name, ".cache"));

const unknown = [];
const yanked = [];
let known = 0;
for (const lock of process.argv.slice(2)) {
  for (const [, name, version] of readFileSync(lock, "utf8").matchAll(/^name = "(.+)"\nversion = "(.+)"\nsource = "registry\+/gm)) {
    const entry = find(name, version);
    if (entry === undefined) unknown.push(`${name} ${version}`);
    else if (entry.yanked) yanked.push(`${lock}: ${name} ${version} was yanked`);
    else known += 1;
  }
}
for (const line of yanked) console.error(line);
if (unknown.length > 0) console.log(`not checked, because cargo's cached index lacks them: ${unknown.join(", ")}`);
console.log(`${known} locked versions are not yanked, ${yanked.length} are, ${unknown.length} are unknown`);
if (yanked.length > 0 || known === 0) process.exitCode = 1;

// An index file has a JSON object for each version, separated by zero bytes.
function find(name, version) {
  const lower = name.toLowerCase();
  const dirs = lower.length < 4 ? [String(lower.length), ...(lower.length === 3 ? [lower[0]] : [])] : [lower.slice(0, 2), lower.slice(2, 4)];
  for (const cache of caches) {
    const file = join(cache, ...dirs, lower);
    if (!existsSync(file)) continue;
    const lines = readFileSync(file, "utf8").split("\0");
    const at = lines.lastIndexOf(version);
    if (at >= 0) return JSON.parse(lines[at + 1]);
  }
}
