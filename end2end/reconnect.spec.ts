// The server goes, by a crash or by an order, and comes back: what the page does, and what it says.

import type { Page } from "@playwright/test";
import { ChatPage } from "./support/chat-page";
import { EchoPage } from "./support/echo-page";
import { socketsOf } from "./support/records";
import { Server } from "./support/server";
import { expect, test as base } from "./support/test";
import { ko, pattern } from "./support/texts";
import { seeVitalsLive } from "./support/vitals";

/** A server that a test may kill and start again on the same port. */
class Mortal {
  constructor(private server: Server) {}

  get url(): string {
    return this.server.url;
  }

  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    await this.server.stop(signal);
  }

  async restart(): Promise<void> {
    this.server = await Server.start(this.server.port, this.server.data);
  }
}

const test = base.extend<{ server: Mortal }>({
  server: async ({}, use) => {
    const server = new Mortal(await Server.start());
    await use(server);
    await server.stop("SIGKILL");
  },
  baseURL: async ({ server }, use) => use(server.url),
});

test.beforeEach(({ complaints }) => {
  // A browser tells the console of every connection that failed.
  complaints.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/, /ERR_CONNECTION_RESET/, /leptos_ws/, /Failed to fetch/, /ERR_INCOMPLETE_CHUNKED_ENCODING/);
});

test("after a crash the page says so, counts down, and is back when the server is", async ({ page, server }) => {
  const echo = await new EchoPage(page).open();
  // With the parts that come after the page: a server that dies before them leaves a page without them.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  const counted = await countdown(page);
  await server.stop("SIGKILL");
  await expect(echo.ending).toContainText(`${ko.echo.closed_by_network} · 1006 ${ko.close.abnormal}`);
  await expect(echo.nextAttempt).toHaveText(pattern(ko.echo.next_attempt));
  await expect.poll(async () => countsDown(await counted()), { message: "the seconds go down" }).toBe(true);
  await expect.poll(async () => echo.row("connecting").count(), { message: "more than one attempt" }).toBeGreaterThan(2);

  await server.restart();
  await echo.is("open", 30_000);
  await expect(echo.nextAttempt).toBeEmpty();
  await expect(echo.ending).toBeEmpty();
  await echo.say("돌아왔다");
  await expect(echo.row("received", "서버 응답: 돌아왔다")).toHaveCount(1);
});

test("a shutdown closes with 1001 and a reason; the page comes back by itself", async ({ page, server }) => {
  const echo = await new EchoPage(page).open();
  // With the parts that come after the page: a server that dies before them leaves a page without them.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  await server.stop("SIGTERM");
  await expect(echo.row("closed", "1001")).toHaveCount(1);
  await server.restart();
  await echo.is("open", 30_000);
});

test("with reconnecting off the page stays closed until it is switched on", async ({ page, server }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  // With the parts that come after the page: a server that dies before them leaves a page without them.
  await page.waitForLoadState("networkidle");
  await server.stop("SIGTERM");
  await echo.is("closed");
  await expect(echo.ending).toContainText(`${ko.echo.closed_by_server} · 1001 ${ko.close.going_away}`);
  await expect(echo.ending).not.toContainText(ko.echo.no_reason);
  await expect(echo.nextAttempt).toBeEmpty();
  await server.restart();
  // By then the page has had the time to come back, if it would.
  await seeVitalsLive(page);
  await echo.is("closed");
  expect(sockets).toHaveLength(1);

  await echo.reconnect.check();
  await echo.is("open", 30_000);
  expect(sockets).toHaveLength(2);
});

test("a disconnect by the visitor is not undone, and ends a wait", async ({ page, server }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  // With the parts that come after the page: a server that dies before them leaves a page without them.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  await echo.disconnect();
  await echo.is("closed");
  await expect(echo.nextAttempt).toBeEmpty();
  await echo.connect();
  await echo.is("open");
  await server.stop("SIGKILL");
  await expect(echo.nextAttempt).not.toBeEmpty();
  await echo.reconnect.uncheck();
  await echo.is("closed");
  await expect(echo.nextAttempt).toBeEmpty();
  const attempts = sockets.length;
  await server.restart();
  await seeVitalsLive(page);
  expect(sockets).toHaveLength(attempts);
});

test("who does not want to wait tries at once, with the keyboard too", async ({ page, server }) => {
  const chat = await new ChatPage(page, "lobby").open();
  const retry = chat.link.getByRole("button", { name: ko.link.retry });
  await expect(retry).toHaveCount(0);
  await server.stop("SIGKILL");
  await retry.focus();
  await server.restart();
  await page.keyboard.press("Enter");
  await expect(chat.link).toHaveAttribute("data-phase", "live", { timeout: 30_000 });
  await expect(retry).toHaveCount(0);
  await chat.live();
});

test("the vitals are live, say so when they are not, and are live again", async ({ page, server }) => {
  await page.goto("/about");
  const strip = page.getByRole("complementary", { name: ko.vitals.label });
  await expect(strip).toHaveAttribute("data-liveness", "live");
  await expect(strip.getByText(ko.vitals.live, { exact: true })).toBeVisible();
  await expect(strip.locator('[data-fact="uptime"]')).toHaveText(/^\d+초$/);
  await server.stop("SIGKILL");
  await expect(strip).toHaveAttribute("data-liveness", "stale", { timeout: 15_000 });
  await expect(strip.getByText(ko.vitals.stale)).toBeVisible();
  await server.restart();
  await expect(strip).toHaveAttribute("data-liveness", "live", { timeout: 15_000 });
});

/** Notes every number of seconds that the page shows. */
async function countdown(page: Page): Promise<() => Promise<number[]>> {
  const seen = await page.evaluateHandle(() => {
    const numbers: number[] = [];
    const line = document.querySelector(".next-attempt");
    const note = () => {
      const number = /\d+\.\d/.exec(line?.textContent ?? "");
      if (number) numbers.push(Number(number[0]));
    };
    if (line) new MutationObserver(note).observe(line, { childList: true, subtree: true, characterData: true });
    return numbers;
  });
  return () => seen.jsonValue();
}

/** Three times in a row a smaller number: one wait that was seen to get shorter. */
function countsDown(seconds: number[]): boolean {
  return seconds.some((first, at) => {
    const [second, third] = seconds.slice(at + 1);
    return second !== undefined && third !== undefined && first > second && second > third;
  });
}
