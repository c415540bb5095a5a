// First loads of the same page from several servers in headless Chromium: the transferred bytes and the time until the socket is open.
//
//     node page.mjs RUNS duplex=http://127.0.0.1:3000/ next=http://127.0.0.1:3001/      one JSON object per line
//
// Duplex's room of 500 messages is loaded in the same way; the longest task of the page's main thread is measured.
//
// A load counts only if the greeting is answered over /api/socket. Every load has its own Chromium process, which has loaded only a blank
// HTTP page before: no cache, cookie, connection or remembered missing icon is left from an earlier load. The process is idle, since a new
// one is busy for seconds. Times are taken from Chromium's monotonic clock, relative to the start of the navigation.

import { createServer } from "node:http";
import { chromium } from "playwright-core";
import { createRoom, longestTask } from "./room.mjs";

const ANSWER = "서버 응답: 안녕하세요 서버!";
const QUIET = 1000; // ms without a request after which the load is complete
const DEADLINE = 40_000;
const REST = 2500; // ms between the blank page and the load
const CONDITIONS = {
  loopback: null,
  slow4g: { cpu: 4, network: { offline: false, latency: 150, downloadThroughput: 1.6e6 / 8, uploadThroughput: 0.75e6 / 8 } },
};

const [runs, ...sites] = process.argv.slice(2);
const targets = sites.map((site) => [site.slice(0, site.indexOf("=")), site.slice(site.indexOf("=") + 1)]);

const blank = createServer((req, res) => res.writeHead(200, { "Content-Type": "text/html" }).end("<link rel=icon href=data:,>"));
await new Promise((listening) => blank.listen(0, "127.0.0.1", listening));
for (const [condition, limits] of Object.entries(CONDITIONS)) {
  for (let run = 0; run <= Number(runs); run++) {
    for (const [who, url] of run % 2 ? [...targets] : targets.toReversed()) {
      try {
        const result = await load(url, limits);
        if (run > 0) console.log(JSON.stringify({ kind: "page", condition, who, ...result })); // run 0 is the warm-up
      } catch (error) {
        console.log(JSON.stringify({ kind: "missing", what: "page", who, why: `${condition}: ${error.message.split("\n")[0]}` }));
        targets.splice(targets.findIndex(([name]) => name === who), 1); // the other site is still measured
      }
    }
  }
}
await measureRoom();
blank.close();

/** Only Duplex has rooms: see room.mjs. */
async function measureRoom() {
  const who = "duplex";
  const [, site] = targets.find(([name]) => name === who) ?? [];
  if (!site) return;
  try {
    const room = new URL(await createRoom(new URL(site).origin), site).href;
    for (let run = 0; run < Number(runs); run++) {
      console.log(JSON.stringify({ kind: "room", who, ...(await inBrowser((browser) => longestTask(browser, room))) }));
    }
  } catch (error) {
    console.log(JSON.stringify({ kind: "missing", what: "room", who, why: error.message.split("\n")[0] }));
  }
}

/** Runs `measure` in an idle Chromium process that has loaded a blank page. */
async function inBrowser(measure) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const first = await browser.newContext();
    await (await first.newPage()).goto(`http://127.0.0.1:${blank.address().port}/`);
    await first.close();
    await new Promise((done) => setTimeout(done, REST));
    return await measure(browser);
  } finally {
    await browser.close();
  }
}

function load(url, limits) {
  return inBrowser(async (browser) => {
    const page = await (await browser.newContext()).newPage();
    const cdp = await page.context().newCDPSession(page);
    await cdp.send("Network.enable");
    await cdp.send("Performance.enable", { timeDomain: "timeTicks" });
    if (limits) {
      await cdp.send("Network.emulateNetworkConditions", limits.network);
      await cdp.send("Emulation.setCPUThrottlingRate", { rate: limits.cpu });
    }
    const traffic = watch(cdp);
    await page.goto(url, { waitUntil: "load", timeout: DEADLINE });
    await traffic.quiet(page);
    const { metrics } = await cdp.send("Performance.getMetrics");
    const start = metrics.find(({ name }) => name === "NavigationStart").value;
    const painted = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? null);
    const loaded = traffic.result(start);
    if (!limits) {
      // The requests on the visitor's first pointer movement.
      await page.mouse.move(10, 10);
      await page.waitForTimeout(QUIET);
      await traffic.quiet(page);
    }
    return { ...loaded, pointed: traffic.result(start).total, painted, chromium: browser.version() };
  });
}

// Counts the bytes that the network service receives: compressed bodies and response headers.
function watch(cdp) {
  const requests = new Map();
  const sockets = new Map();
  let [opened, answered, changed] = [null, null, Date.now()];

  cdp.on("Network.requestWillBeSent", ({ requestId, request, type, redirectResponse }) => {
    changed = Date.now();
    const before = redirectResponse ? redirectResponse.encodedDataLength : 0;
    requests.set(requestId, { url: request.url, type, bytes: before, done: false });
  });
  cdp.on("Network.responseReceived", ({ requestId, response }) => {
    const request = requests.get(requestId);
    if (!request) return;
    Object.assign(request, { mime: response.mimeType, status: response.status, encoding: encoding(response.headers) });
    // An event stream does not end: its received bytes count.
    if (request.type === "EventSource") Object.assign(request, { done: true, bytes: request.bytes + response.encodedDataLength });
  });
  cdp.on("Network.dataReceived", ({ requestId, encodedDataLength }) => {
    const request = requests.get(requestId);
    if (request?.type === "EventSource") request.bytes += encodedDataLength;
  });
  for (const event of ["Network.loadingFinished", "Network.loadingFailed"]) {
    cdp.on(event, ({ requestId, encodedDataLength, errorText }) => {
      changed = Date.now();
      const request = requests.get(requestId);
      if (!request) return;
      request.done = true;
      request.bytes += encodedDataLength ?? 0;
      if (errorText) request.error = errorText;
    });
  }
  cdp.on("Network.webSocketCreated", ({ requestId, url }) => sockets.set(requestId, new URL(url).pathname));
  cdp.on("Network.webSocketHandshakeResponseReceived", ({ requestId, timestamp, response }) => {
    if (sockets.get(requestId) === "/api/socket" && response.status === 101) opened ??= timestamp;
  });
  cdp.on("Network.webSocketFrameReceived", ({ requestId, timestamp, response }) => {
    if (sockets.get(requestId) === "/api/socket" && response.payloadData === ANSWER) answered ??= timestamp;
  });

  const all = () => [...requests.values()].filter(({ url }) => url.startsWith("http"));
  const over = () => answered && Date.now() - changed > QUIET && all().every(({ done }) => done);
  const state = () =>
    !opened ? "/api/socket did not open" : !answered ? `"${ANSWER}" did not come back` : `unfinished: ${all().filter(({ done }) => !done)[0]?.url}`;
  return {
    async quiet(page) {
      for (const end = Date.now() + DEADLINE; !over(); ) {
        if (Date.now() > end) throw new Error(state());
        await page.waitForTimeout(50);
      }
    },
    result(start) {
      const bytes = { document: 0, script: 0, wasm: 0, style: 0, other: 0, icon: 0 };
      const requests = all().map((request) => ({ ...request, url: new URL(request.url).pathname, kind: kind(request) }));
      for (const { kind, bytes: received } of requests) bytes[kind] += received;
      const { icon, ...page } = bytes;
      return {
        total: Object.values(page).reduce((sum, one) => sum + one),
        bytes,
        requests,
        opened: (opened - start) * 1000,
        answered: (answered - start) * 1000,
      };
    },
  };
}

function encoding(headers) {
  return Object.entries(headers).find(([name]) => name.toLowerCase() === "content-encoding")?.[1] ?? "none";
}

// The icon is counted separately: the browser requests it even from a site that has none and answers with an error page.
function kind({ type, mime = "", url }) {
  const { pathname } = new URL(url);
  if (mime === "application/wasm" || pathname.endsWith(".wasm")) return "wasm";
  if (type === "Other" && /icon[^/]*$/.test(pathname)) return "icon";
  return { Document: "document", Script: "script", Stylesheet: "style" }[type] ?? (mime.includes("javascript") ? "script" : "other");
}
