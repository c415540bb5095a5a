// Messages posted over HTTP, and the longest task of a browser that opens a room of them.

import http from "node:http";

const MESSAGES = 500;
const MARK = "measured";
const DEADLINE = 40_000;
const REST = 2000; // ms after the room is live in which the page still works
const WORDS = "안녕하세요 오늘 회의는 세 시에 시작합니다 please read the draft before we meet 그리고 질문이 있으면 알려 주세요".split(" ");

let sent = 0;

/** Sends a command as a person of its own, because of the rate limit per person. */
export function command(url, topic, command) {
  const id = (BigInt(Date.now()) * 1_000_000n + BigInt(sent++)).toString(16).padStart(32, "0");
  const session = `bench-${sent}`;
  const body = JSON.stringify({ command: { topic, id, command } });
  const headers = { "content-type": "application/json", origin: url };
  return new Promise((done, failed) => {
    const request = http.request(`${url}/api/session/command?session=${session}`, { method: "POST", headers }, (answer) => {
      let body = "";
      answer.on("data", (part) => (body += part));
      answer.on("end", () => (body.includes("accepted") ? done() : failed(new Error(`${topic}: ${answer.statusCode} ${body}`))));
    });
    request.on("error", failed).end(body);
  });
}

export const post = (url, topic, text) => command(url, topic, { post: { text, reply_to: null } });

/** Creates a room of 500 messages and returns its path. */
export async function createRoom(url) {
  const room = `bench-${Date.now()}`;
  await command(url, "rooms/all", { create: { room, title: room } });
  for (let number = 0; number < MESSAGES; number++) {
    const words = Array.from({ length: 3 + (number % 25) }, (_, at) => WORDS[(number + at) % WORDS.length]);
    await post(url, `chat/${room}`, `${number}. ${words.join(" ")}${number % 10 === 0 ? ` https://example.com/${number}` : ""}`);
  }
  return `/chat/${room}`;
}

/** The page's longest task on its first visit, in milliseconds: its duration, and its CPU time. */
export async function longestTask(browser, url) {
  const page = await (await browser.newContext()).newPage();
  await browser.startTracing(page, { categories: ["toplevel", "blink.user_timing"] });
  await page.goto(url, { timeout: DEADLINE });
  await page.waitForSelector(".room-status[data-status=live]", { timeout: DEADLINE });
  await page.waitForTimeout(REST);
  await page.evaluate((mark) => void performance.mark(mark), MARK); // tells the page's process from those of other pages
  const { traceEvents: events } = JSON.parse((await browser.stopTracing()).toString());
  const marked = events.find(({ name }) => name === MARK);
  const tasks = events.filter(({ name, ph, pid, tid }) => ph === "X" && name.endsWith("RunTask") && pid === marked.pid && tid === marked.tid);
  const longest = (time) => Math.max(...tasks.map((task) => task[time] ?? 0)) / 1000;
  return { longest_ms: longest("dur"), longest_cpu_ms: longest("tdur") };
}
