// The arena: players in one world, over WebSocket or HTTP. Each test has its own server, because a shared world would contain other
// tests' players. Bots may eat a player that stands still, so players keep moving, and a test starts to play only when it must.

import { readFileSync } from "node:fs";
import type { Browser } from "@playwright/test";
import { ArenaPage } from "./support/arena-page";
import { Server } from "./support/server";
import { expect, test as base } from "./support/test";
import { ko } from "./support/texts";

interface Fixtures {
  server: Server;
  arena: ArenaPage;
}

const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.stop();
  },
  baseURL: async ({ server }, use) => use(server.url),
  arena: async ({ page }, use) => use(new ArenaPage(page)),
});

async function openSecondPage(browser: Browser, server: Server): Promise<ArenaPage> {
  const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
  return new ArenaPage(await context.newPage());
}

test("keys move the player, and the page shows the lag", async ({ arena }) => {
  await arena.open();
  await expect(arena.canvas).toHaveAttribute("data-transport", "websocket");
  await arena.play("민지");
  const before = await arena.position();
  await arena.move("ArrowRight");
  expect((await arena.position()).x).not.toBe(before.x);
  await arena.move("KeyS");
  await expect(arena.canvas).toHaveAttribute("data-lag", /^\d+$/);
  await expect(arena.page.locator('[data-key="lag"]')).toHaveText(/^\d+ ms$/);
});

test("two visitors share one world, and one watches the other move", async ({ arena, browser, server }) => {
  const other = await openSecondPage(browser, server);
  await other.open();
  await arena.open();
  await arena.play("민지");
  const ownId = await arena.number("own-id");
  await expect.poll(() => other.number("players")).toBe(1);
  await other.page.getByRole("button", { name: ko.arena.watch.replace("{name}", "민지") }).click();
  await expect.poll(() => other.number("focus")).toBe(ownId);
  const before = (await other.visiblePlayers()).get(ownId)!;
  await arena.move("ArrowLeft");
  await arena.move("ArrowUp");
  await expect.poll(async () => (await other.visiblePlayers()).get(ownId)).not.toEqual(before);
  await other.play("서준");
  await expect.poll(() => arena.number("players")).toBe(2);
  await expect(arena.leaderboard.filter({ hasText: "서준" })).toHaveCount(1);
  await other.page.context().close();
});

test("a player who leaves returns to the same body", async ({ arena, browser, server }) => {
  const watcher = await openSecondPage(browser, server);
  await watcher.open();
  await arena.open();
  await arena.play("민지");
  const ownId = await arena.number("own-id");
  await arena.page.goto("/about");
  await expect.poll(() => watcher.number("players")).toBe(1);
  await arena.open();
  await expect(arena.canvas).toHaveAttribute("data-role", "playing");
  expect(await arena.number("own-id")).toBe(ownId);
  await watcher.page.context().close();
});

test("with WebSocket blocked the game runs over HTTP, and the page says so", async ({ arena, page }) => {
  await page.routeWebSocket(/\/api\/arena$/, () => {});
  await arena.open();
  await expect(arena.canvas).toHaveAttribute("data-transport", "http");
  await expect(page.locator('[data-key="connection"]')).toHaveText(ko.arena.http);
  await arena.play("민지");
  await arena.move("ArrowDown");
});

test("the page reconnects after a server restart, and the best score is kept", async ({ browser, consoleErrors }) => {
  consoleErrors.allow(/.*/);
  test.slow();
  let server = await Server.start();
  const context = await browser.newContext({ locale: "ko-KR", baseURL: server.url });
  const arena = await new ArenaPage(await context.newPage()).open();
  await arena.play("민지");
  // Collect food until the mass exceeds the initial one.
  const keys = ["ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"];
  for (let turn = 0; turn < 60 && (await arena.number("mass")) <= 100; turn++) {
    if ((await arena.canvas.getAttribute("data-role")) !== "playing") await arena.play("민지");
    await arena.page.keyboard.down(keys[turn % 4]);
    await arena.page.waitForFunction((tick) => Number(document.querySelector("#arena-canvas")?.getAttribute("data-tick")) > tick, (await arena.number("tick")) + 30);
    await arena.page.keyboard.up(keys[turn % 4]);
  }
  if ((await arena.canvas.getAttribute("data-role")) === "playing") {
    await arena.page.getByRole("button", { name: ko.arena.leave }).click();
  }
  await expect(arena.highScores.filter({ hasText: "민지" })).toHaveCount(1);
  await server.stop("SIGKILL");
  await expect(arena.canvas).not.toHaveAttribute("data-transport", "websocket");
  server = await Server.start(server.port, server.data);
  await arena.expectLive();
  await arena.page.reload();
  await expect(arena.highScores.filter({ hasText: "민지" })).toHaveCount(1);
  await context.close();
  await server.stop();
});

test("a saved round replays to the same result as on the server", async ({ arena, page }) => {
  test.slow();
  await arena.open();
  await arena.play("민지");
  await arena.move("ArrowRight");
  await expect.poll(() => arena.number("tick")).toBeGreaterThan(60);
  const download = page.waitForEvent("download");
  await page.getByRole("link", { name: ko.arena.save_record }).click();
  const path = await (await download).path();
  const input = page.locator('#arena-records input[type="file"]');
  await input.setInputFiles({ name: "no.arena", mimeType: "application/octet-stream", buffer: Buffer.from("no record") });
  await expect(page.getByText(ko.arena.no_record)).toBeVisible();
  await input.setInputFiles({ name: "round.arena", mimeType: "application/octet-stream", buffer: readFileSync(path) });
  const replay = page.locator(".arena-replay");
  await expect(replay).toBeVisible();
  await expect(replay.locator(".arena-verification")).toHaveText(ko.arena.record_true, { timeout: 60_000 });
  await replay.getByRole("button", { name: ko.arena.close_record }).click();
  await expect(replay).toHaveCount(0);
});

test("the leaderboard and the game have text alternatives", async ({ arena, page }) => {
  await arena.open();
  await expect(page.locator("#arena-summary")).toHaveText(ko.arena.summary_watching);
  await arena.play("민지");
  await expect(page.locator("#arena-summary")).toHaveText(/\d/);
  await expect(arena.leaderboard.filter({ hasText: "민지" })).toHaveCount(1);
});

test("touch steers and boosts", async ({ browser, server }) => {
  const context = await browser.newContext({
    locale: "ko-KR",
    baseURL: server.url,
    hasTouch: true,
    isMobile: true,
    viewport: { width: 390, height: 780 },
  });
  const arena = await new ArenaPage(await context.newPage()).open();
  await arena.play("민지");
  const box = (await arena.canvas.boundingBox())!;
  expect(box.height).toBeGreaterThan(280);
  const before = await arena.position();
  await arena.page.touchscreen.tap(box.x + box.width * 0.9, box.y + box.height * 0.3);
  await expect.poll(async () => (await arena.position()).x).not.toBe(before.x);
  await expect(arena.page.getByRole("button", { name: ko.arena.boost, exact: true })).toBeVisible();
  await context.close();
});

test("without scripts the page shows the rules, the leaderboard and the best scores", async ({ browser, server, arena }) => {
  // The world runs, and has a leaderboard, only while a visitor is present.
  await arena.open();
  await expect.poll(() => arena.leaderboard.count()).toBeGreaterThan(0);
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR", baseURL: server.url });
  const plain = new ArenaPage(await context.newPage());
  await plain.page.goto("/arena");
  await expect(plain.page.getByRole("heading", { name: ko.arena.rules })).toBeVisible();
  await expect(plain.page.getByText(ko.arena.rule_eat)).toBeVisible();
  expect(await plain.leaderboard.count()).toBeGreaterThan(0);
  await expect(plain.page.locator("#arena-best")).toBeVisible();
  await expect(plain.canvas).toBeHidden();
  await context.close();
});
