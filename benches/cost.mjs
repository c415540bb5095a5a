// Measures the server's CPU time of single requests in milliseconds, and the latency of `/healthz` during them. Prints a Markdown table.
//
//     node cost.mjs                    the server of DUPLEX_BIN and DUPLEX_SITE (default: target/release/duplex and target/site)
//     BEFORE=FILE node cost.mjs        also another binary, such as an earlier version
//
// CPU time is read from /proc, so this runs only on Linux. Requests go to a server on a free port of this machine.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { command, post } from "./room.mjs";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const site = resolve(process.env.DUPLEX_SITE ?? join(root, "target/site"));
const bin = resolve(process.env.DUPLEX_BIN ?? join(root, "target/release/duplex"));
const TICKS = 100; // USER_HZ of /proc on Linux
const PAGES = ["/", "/chat", "/market", "/devices", "/arena", "/notifications", "/compare", "/about"];
const REQUESTS = 200;
const ROOMS = 64;
const FULL_ROOM = "full"; // with more messages than a page shows
const FULL_ROOM_MESSAGES = 300;
const ENGLISH_BROTLI = { accept: "text/html", "accept-encoding": "br, gzip", "accept-language": "en" };

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function start(program) {
  const dir = mkdtempSync(join(tmpdir(), "duplex-cost-"));
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(DUPLEX|LEPTOS)_/.test(name)));
  const options = ["--addr", "127.0.0.1:0", "--data", join(dir, "duplex.db"), "--site", site, "--log", "error"];
  // Older versions have neither limits nor the flag.
  const off = (await supports(program, "--limits")) ? ["--limits", "off"] : [];
  const child = spawn(program, [...options, ...off], { env: { ...env, LEPTOS_OUTPUT_NAME: "duplex" }, stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise((done, failed) => {
    child.stdout.once("data", (line) => done(String(line).split("\n")[0]));
    child.once("exit", (code) => failed(new Error(`${program} ended with ${code}`)));
  });
  const stop = () => (child.kill("SIGKILL"), rmSync(dir, { recursive: true, force: true }));
  await wait(3000); // until the market has started
  return { url, pid: child.pid, stop };
}

async function supports(program, flag) {
  const help = spawn(program, ["--help"], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  for await (const part of help.stdout) text += part;
  return text.includes(flag);
}

function get(url, path, headers, agent) {
  return new Promise((done, failed) => {
    const began = performance.now();
    http
      .get(url + path, { headers, agent }, (response) => {
        let bytes = 0;
        response.on("data", (part) => (bytes += part.length));
        response.on("end", () => done({ status: response.statusCode, bytes, ms: performance.now() - began }));
      })
      .on("error", failed);
  });
}

/** The body of a page. */
async function text(url) {
  return (await fetch(url, { headers: { accept: "text/html" } })).text();
}

/** The pages to request, each with a full example: a room, a symbol, a device. */
async function pages(url) {
  await command(url, "rooms/all", { create: { room: FULL_ROOM, title: FULL_ROOM } });
  for (let n = 0; n < FULL_ROOM_MESSAGES; n++) await post(url, `chat/${FULL_ROOM}`, `${n}. 안녕하세요 ${"word ".repeat(3 + (n % 25))}https://example.com/${n}`);
  const details = [`/chat/${FULL_ROOM}`];
  for (const list of ["/market", "/devices"]) {
    const link = (await text(url + list)).match(new RegExp(`<a href="(${list}/[^"]+)"`));
    if (link) details.push(link[1]);
  }
  return [...PAGES, ...details, "/no-such-page"];
}

function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS) * 1000;
}

/** CPU time of one `send`, without the server's idle CPU time. */
async function cost(server, times, send) {
  const [idleFrom, idleCpu] = [performance.now(), cpu(server.pid)];
  await wait(2000);
  const idle = (cpu(server.pid) - idleCpu) / (performance.now() - idleFrom);
  const [from, before] = [performance.now(), cpu(server.pid)];
  let last;
  for (let n = 0; n < times; n++) last = await send();
  return { ms: (cpu(server.pid) - before - idle * (performance.now() - from)) / times, bytes: last.bytes };
}

async function measure(program) {
  const server = await start(program);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const rows = [];
  try {
    const page = async (path, name, headers) => {
      for (let n = 0; n < 5; n++) await get(server.url, path, headers, agent);
      const { ms, bytes } = await cost(server, REQUESTS, () => get(server.url, path, headers, agent));
      rows.push([`page ${path}${name}: ms of CPU; bytes`, `${ms.toFixed(2)}; ${bytes}`]);
    };
    for (const path of await pages(server.url)) await page(path, "", ENGLISH_BROTLI);
    for (const path of ["/market", `/chat/${FULL_ROOM}`]) {
      await page(path, ", Korean", { ...ENGLISH_BROTLI, "accept-language": "ko" });
      await page(path, ", gzip", { ...ENGLISH_BROTLI, "accept-encoding": "gzip" });
      await page(path, ", uncompressed", { ...ENGLISH_BROTLI, "accept-encoding": "identity" });
    }
    const rooms = Array.from({ length: ROOMS }, (_, n) => `chat/cost-${n}`);
    for (const room of rooms) {
      for (let n = 0; n < 9; n++) await post(server.url, room, "word ".repeat(700));
    }
    const poll = () => get(server.url, `/api/session/poll?session=cost&wait=0&topics=${rooms}`, { "accept-encoding": "br" }, agent);
    const full = await cost(server, 50, poll);
    rows.push([`poll of ${ROOMS} rooms: ms of CPU; bytes`, `${full.ms.toFixed(1)}; ${full.bytes}`]);
    const polls = Promise.all([1, 2, 3, 4].map(() => get(server.url, `/api/session/poll?session=cost&wait=0&topics=${rooms}`, { "accept-encoding": "br" })));
    await wait(20);
    const health = await get(server.url, "/healthz", {});
    await polls;
    rows.push(["`/healthz` during four of them: ms", health.ms.toFixed(1)]);
  } finally {
    agent.destroy();
    server.stop();
  }
  return rows;
}

const before = process.env.BEFORE && (await measure(resolve(process.env.BEFORE)));
const now = await measure(bin);
console.log(before ? "| | Duplex | before |\n| --- | --- | --- |" : "| | Duplex |\n| --- | --- |");
now.forEach(([name, value], n) => console.log(`| ${[name, value, ...(before ? [before[n][1]] : [])].join(" | ")} |`));
