// Lazily loaded wasm chunks of pages and tools: a chunk that fails to load is requested again.

import type { Page, Route } from "@playwright/test";
import { expect, test } from "./support/test";
import { ko } from "./support/texts";

const CHUNKS = /\/pkg\/(chunk|split)_[^/]*\.wasm$/;

/** Fails the first `count` requests for chunks with `fail`. The returned function gives the number of requests. */
async function failRequests(page: Page, count: number, fail: (route: Route) => Promise<void>): Promise<() => number> {
  let requests = 0;
  await page.route(CHUNKS, (route) => (requests++ < count ? fail(route) : route.continue()));
  return () => requests;
}

test.beforeEach(({ consoleErrors }) => {
  consoleErrors.allow(/Failed to load resource/);
});

const FAILURES: [string, (route: Route) => Promise<void>][] = [
  ["fails with a connection reset", (route) => route.abort("connectionreset")],
  ["gets a proxy's error", (route) => route.fulfill({ status: 502, body: "bad gateway" })],
  ["is not found", (route) => route.fulfill({ status: 404, body: "not found" })],
];

for (const [failure, fail] of FAILURES) {
  test(`a chunk that ${failure} is requested again, and the page hydrates`, async ({ page }) => {
    const requests = await failRequests(page, 12, fail);
    await page.goto("/about");
    await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live", { timeout: 20_000 });
    expect(requests()).toBeGreaterThan(12);
  });
}

test("a page is shown once its late chunks have loaded", async ({ page }) => {
  await page.goto("/about");
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
  const requests = await failRequests(page, 10, (route) => route.abort("connectionreset"));
  await page.getByRole("navigation").getByRole("link", { name: ko.app.market }).click();
  await expect(page.getByRole("heading", { level: 1, name: ko.market.title })).toBeVisible({ timeout: 20_000 });
  expect(requests()).toBeGreaterThan(10);
});

test("a page of an older build reloads when its chunk no longer exists", async ({ page }) => {
  await page.clock.install();
  await page.goto("/about");
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
  await failRequests(page, 1, (route) => route.fulfill({ status: 404, body: "not found" }));
  await page.clock.fastForward("01:00");
  const loaded = page.waitForEvent("load");
  await page.getByRole("navigation").getByRole("link", { name: ko.app.market }).click();
  await loaded;
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
});
