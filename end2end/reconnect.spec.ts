// Reconnecting after a crash or a shutdown of the server: attempts, countdown and messages.

import type { Page } from "@playwright/test";
import { ChatPage } from "./support/chat-page";
import { EchoPage } from "./support/echo-page";
import { socketsOf } from "./support/handshake-records";
import { Server } from "./support/server";
import { expect, test as base } from "./support/test";
import { ko, pattern } from "./support/texts";
import { expectVitalsLive } from "./support/vitals";

/** A server that a test may kill and start again on the same port. */
class RestartableServer {
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

const test = base.extend<{ server: RestartableServer }>({
  server: async ({}, use) => {
    const server = new RestartableServer(await Server.start());
    await use(server);
    await server.stop("SIGKILL");
  },
  baseURL: async ({ server }, use) => use(server.url),
});

test.beforeEach(({ consoleErrors }) => {
  // The browser logs every failed connection.
  consoleErrors.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_EMPTY_RESPONSE/, /ERR_CONNECTION_RESET/, /leptos_ws/, /Failed to fetch/, /ERR_INCOMPLETE_CHUNKED_ENCODING/);
});

test("after a crash the page shows a countdown and reconnects when the server is back", async ({ page, server }) => {
  const echo = await new EchoPage(page).open();
  // Wait for the lazy chunks, which a stopped server could no longer send.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  const counted = await countdown(page);
  await server.stop("SIGKILL");
  await expect(echo.closeStatus).toContainText(`${ko.echo.closed_by_network} · 1006 ${ko.close.abnormal}`);
  await expect(echo.nextAttempt).toHaveText(pattern(ko.echo.next_attempt));
  await expect.poll(async () => countsDown(await counted()), { message: "the seconds decrease" }).toBe(true);
  await expect.poll(async () => echo.row("connecting").count(), { message: "more than one attempt" }).toBeGreaterThan(2);

  await server.restart();
  await echo.expectState("open", 30_000);
  await expect(echo.nextAttempt).toBeEmpty();
  await expect(echo.closeStatus).toBeEmpty();
  await echo.send("돌아왔다");
  await expect(echo.row("received", "서버 응답: 돌아왔다")).toHaveCount(1);
});

test("a shutdown closes with 1001 and a reason, and the page reconnects", async ({ page, server }) => {
  const echo = await new EchoPage(page).open();
  // Wait for the lazy chunks, which a stopped server could no longer send.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  await server.stop("SIGTERM");
  await expect(echo.row("closed", "1001")).toHaveCount(1);
  await server.restart();
  await echo.expectState("open", 30_000);
});

test("with reconnecting off the page stays closed until it is switched on", async ({ page, server }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  // Wait for the lazy chunks, which a stopped server could no longer send.
  await page.waitForLoadState("networkidle");
  await server.stop("SIGTERM");
  await echo.expectState("closed");
  await expect(echo.closeStatus).toContainText(`${ko.echo.closed_by_server} · 1001 ${ko.close.going_away}`);
  await expect(echo.closeStatus).not.toContainText(ko.echo.no_reason);
  await expect(echo.nextAttempt).toBeEmpty();
  await server.restart();
  // By then the page would have reconnected.
  await expectVitalsLive(page);
  await echo.expectState("closed");
  expect(sockets).toHaveLength(1);

  await echo.reconnect.check();
  await echo.expectState("open", 30_000);
  expect(sockets).toHaveLength(2);
});

test("a disconnect by the visitor is final and cancels a pending attempt", async ({ page, server }) => {
  const sockets = socketsOf(page);
  const echo = await new EchoPage(page).open();
  // Wait for the lazy chunks, which a stopped server could no longer send.
  await page.waitForLoadState("networkidle");
  await echo.reconnect.check();
  await echo.disconnect();
  await echo.expectState("closed");
  await expect(echo.nextAttempt).toBeEmpty();
  await echo.connect();
  await echo.expectState("open");
  await server.stop("SIGKILL");
  await expect(echo.nextAttempt).not.toBeEmpty();
  await echo.reconnect.uncheck();
  await echo.expectState("closed");
  await expect(echo.nextAttempt).toBeEmpty();
  const attempts = sockets.length;
  await server.restart();
  await expectVitalsLive(page);
  expect(sockets).toHaveLength(attempts);
});

test("the visitor can retry at once, also by keyboard", async ({ page, server }) => {
  const chat = await new ChatPage(page, "lobby").open();
  const retry = chat.sessionStatus.getByRole("button", { name: ko.link.retry });
  await expect(retry).toHaveCount(0);
  await server.stop("SIGKILL");
  await retry.focus();
  await server.restart();
  await page.keyboard.press("Enter");
  await expect(chat.sessionStatus).toHaveAttribute("data-phase", "live", { timeout: 30_000 });
  await expect(retry).toHaveCount(0);
  await chat.expectLive();
});

test("the vitals become stale when the server stops and live again when it is back", async ({ page, server }) => {
  await page.goto("/about");
  const strip = page.getByRole("complementary", { name: ko.vitals.label });
  await expect(strip).toHaveAttribute("data-liveness", "live");
  await expect(strip.getByText(ko.vitals.live, { exact: true })).toBeVisible();
  await expect(strip.locator('[data-key="uptime"]')).toHaveText(/^\d+초$/);
  await server.stop("SIGKILL");
  await expect(strip).toHaveAttribute("data-liveness", "stale", { timeout: 15_000 });
  await expect(strip.getByText(ko.vitals.stale)).toBeVisible();
  await server.restart();
  await expect(strip).toHaveAttribute("data-liveness", "live", { timeout: 15_000 });
});

/** Records every number of seconds that the page shows. */
async function countdown(page: Page): Promise<() => Promise<number[]>> {
  const seen = await page.evaluateHandle(() => {
    const numbers: number[] = [];
    const line = document.querySelector(".next-attempt");
    const record = () => {
      const number = /\d+\.\d/.exec(line?.textContent ?? "");
      if (number) numbers.push(Number(number[0]));
    };
    if (line) new MutationObserver(record).observe(line, { childList: true, subtree: true, characterData: true });
    return numbers;
  });
  return () => seen.jsonValue();
}

/** Whether three consecutive numbers decrease. */
function countsDown(seconds: number[]): boolean {
  return seconds.some((first, at) => {
    const [second, third] = seconds.slice(at + 1);
    return second !== undefined && third !== undefined && first > second && second > third;
  });
}
