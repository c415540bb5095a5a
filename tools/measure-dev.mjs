// `make measure-dev`: measures how long `make dev` takes to serve a change: of a style sheet, and of one line in a page's view. Each file
// is changed and restored, RUNS times (default 3); the time ends when the server serves the change.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createServer } from "node:net";

const RUNS = Number(process.env.RUNS ?? 3);
const FIRST_BUILD_MS = 30 * 60_000;
const CHANGE_MS = 10 * 60_000;
const POLL_MS = 50;
// cargo-leptos watches files only from some time after it has started the server.
const WATCHING_MS = 10_000;

/** `of` is where a change is served: the text of `path` with the mark, after `file` is changed by `change`. */
const CHANGES = [
  { name: "a rule of a style sheet", file: "style/main.css", path: "/pkg/duplex.css", change: (text, mark) => `${text}\n.${mark} { color: red }\n` },
  {
    name: "a line of a page's view",
    file: "src/apps/about/mod.rs",
    path: "/about",
    change: (text, mark) => text.replace('<div class="page-header">', `<div class="page-header" id="${mark}">`),
  },
];

const [site, reload] = [await freePort(), await freePort()];
const url = `http://127.0.0.1:${site}`;

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Milliseconds until the text at `path` satisfies `served`. */
async function until(path, served, limit, failed) {
  const start = performance.now();
  for (;;) {
    const text = await fetch(url + path).then((response) => (response.ok ? response.text() : undefined)).catch(() => undefined);
    const time = performance.now() - start;
    if (text !== undefined && served(text)) return time;
    if (failed()) throw new Error("make dev ended");
    if (time > limit) throw new Error(`${path} did not change within ${limit / 1000} s`);
    await sleep(POLL_MS);
  }
}

async function measure({ name, file, path, change }, failed) {
  const original = readFileSync(file, "utf8");
  const times = [];
  try {
    for (let run = 0; run < RUNS; run++) {
      const mark = `measured-${run}`;
      const changed = change(original, mark);
      if (changed === original) throw new Error(`${file} has changed: adapt tools/measure-dev.mjs`);
      writeFileSync(file, changed);
      times.push(await until(path, (text) => text.includes(mark), CHANGE_MS, failed));
    }
  } finally {
    writeFileSync(file, original);
  }
  await until(path, (text) => !text.includes("measured-"), CHANGE_MS, failed);
  const seconds = times.map((time) => (time / 1000).toFixed(1));
  console.log(`${seconds.join(", ")} s\t${name} (${file})`);
}

const data = mkdtempSync(join(tmpdir(), "duplex-dev-"));
const dev = spawn("make", ["dev", `ADDR=127.0.0.1:${site}`], {
  detached: true,
  stdio: ["ignore", "inherit", "inherit"],
  env: { ...process.env, LEPTOS_RELOAD_PORT: String(reload), DUPLEX_DATA: join(data, "duplex.db") },
});
let ended = false;
process.once("SIGINT", () => (ended = true));
dev.once("exit", () => (ended = true));
try {
  const first = await until("/about", () => true, FIRST_BUILD_MS, () => ended);
  console.log(`${(first / 1000).toFixed(1)} s\tuntil make dev serves`);
  await sleep(WATCHING_MS);
  for (const change of CHANGES) await measure(change, () => ended);
} finally {
  try {
    process.kill(-dev.pid, "SIGINT");
  } catch {
    // It has ended already.
  }
  rmSync(data, { recursive: true, force: true });
}
