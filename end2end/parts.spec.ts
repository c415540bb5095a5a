// Pages and tools come in parts, after the page. A part that does not come is asked for until it does.

import type { Page, Route } from "@playwright/test";
import { expect, test } from "./support/test";
import { ko } from "./support/texts";

const PARTS = /\/pkg\/(chunk|split)_[^/]*\.wasm$/;

/** The first `count` requests for parts end as `end` says. Returns how many parts were asked for since. */
async function withhold(page: Page, count: number, end: (route: Route) => Promise<void>): Promise<() => number> {
  let asked = 0;
  await page.route(PARTS, (route) => (asked++ < count ? end(route) : route.continue()));
  return () => asked;
}

test.beforeEach(({ complaints }) => {
  complaints.allow(/Failed to load resource/);
});

const ends: [string, (route: Route) => Promise<void>][] = [
  ["is lost", (route) => route.abort("connectionreset")],
  ["is answered by a proxy's error", (route) => route.fulfill({ status: 502, body: "bad gateway" })],
  ["is not there yet", (route) => route.fulfill({ status: 404, body: "not found" })],
];

for (const [what, end] of ends) {
  test(`a part that ${what} is asked for again, and the page comes to life`, async ({ page }) => {
    const asked = await withhold(page, 12, end);
    await page.goto("/about");
    await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live", { timeout: 20_000 });
    expect(asked()).toBeGreaterThan(12);
  });
}

test("a page whose parts come late is shown when they are there", async ({ page }) => {
  await page.goto("/about");
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
  const asked = await withhold(page, 10, (route) => route.abort("connectionreset"));
  await page.getByRole("navigation").getByRole("link", { name: ko.app.market }).click();
  await expect(page.getByRole("heading", { level: 1, name: ko.market.title })).toBeVisible({ timeout: 20_000 });
  expect(asked()).toBeGreaterThan(10);
});

test("a page of an older build than the server's is loaded again when its part is gone", async ({ page }) => {
  await page.clock.install();
  await page.goto("/about");
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
  await withhold(page, 1, (route) => route.fulfill({ status: 404, body: "not found" }));
  await page.clock.fastForward("01:00");
  const loaded = page.waitForEvent("load");
  await page.getByRole("navigation").getByRole("link", { name: ko.app.market }).click();
  await loaded;
  await expect(page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
});
