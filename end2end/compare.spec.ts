// The comparison: measurements are real and consistent, and a run can be stopped, shared and copied.

import { ComparePage, TRANSPORTS } from "./support/compare-page";
import { test } from "./support/server";
import { expect } from "./support/test";
import { ko, texts } from "./support/texts";

test.setTimeout(150_000);

test("every transport is measured, with the bytes that the server counted", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  await compare.set("count", 20);
  await compare.run();
  await expect(compare.rows).toHaveCount(TRANSPORTS.length);
  for (const transport of TRANSPORTS) {
    expect(await compare.result(transport, "answered"), `${transport} answered`).toBe(20);
    expect(await compare.result(transport, "failed"), `${transport} failed`).toBe(0);
    for (const column of ["p95_ms", "per_second", "bytes_up", "bytes_down", "server_cpu_us"] as const) {
      expect(await compare.result(transport, column), `${transport} ${column}`).toBeGreaterThan(0);
    }
    const [p50, p95, p99] = [
      await compare.result(transport, "p50_ms"),
      await compare.result(transport, "p95_ms"),
      await compare.result(transport, "p99_ms"),
    ];
    expect(p50).toBeLessThanOrEqual(p95);
    expect(p95).toBeLessThanOrEqual(p99);
  }
  // 120 bytes in a masked frame, and in an unmasked frame back (RFC 6455). The browser compresses its message (RFC 7692).
  expect(await compare.result("socket", "bytes_up")).toBeLessThan(126);
  expect(await compare.result("socket", "bytes_down")).toBe(122);
  // HTTP requests carry the browser's headers.
  for (const transport of ["fetch", "fresh", "sse", "poll", "function", "signal"] as const) {
    expect(await compare.result(transport, "bytes_up"), transport).toBeGreaterThan(4 * 126);
  }
  // Two rounds with one socket each; at least one connection for each of 20 messages.
  expect(await compare.result("socket", "connections")).toBe(2);
  expect(await compare.result("fresh", "connections")).toBeGreaterThanOrEqual(20);
  expect(await compare.result("fetch", "connections")).toBeLessThanOrEqual(12);
  await expect(page.locator(".transport-result svg.histogram path")).toHaveCount(TRANSPORTS.length);
});

test("the findings are derived from the results", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  await expect(page.getByText(ko.compare.findings_none)).toBeVisible();
  await compare.set("count", 10);
  await compare.run();
  for (const key of ["headers", "connections", "kept", "seldom", "cached", "download"]) {
    await expect(compare.finding(key)).toHaveCount(1);
    await expect(compare.finding(key)).not.toContainText("{");
  }
  await expect(page.locator(".transport-result").first()).not.toContainText("{");
  const bytes = (await compare.result("socket", "bytes_up")) + (await compare.result("socket", "bytes_down"));
  await expect(compare.finding("headers")).toContainText(String(bytes));
  // The browser got 304 responses: ten loads of 32 KiB transferred little more than one.
  await expect(compare.finding("cached")).toContainText("304");
});

test("messages in flight and the rate are configurable", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  await compare.set("count", 30);
  await compare.set("in-flight", 6);
  await compare.run();
  for (const transport of TRANSPORTS) expect(await compare.result(transport, "answered"), transport).toBe(30);
  await compare.set("count", 10);
  await compare.set("in-flight", 1);
  await compare.set("rate", 20);
  await compare.run();
  for (const transport of TRANSPORTS) {
    expect(await compare.result(transport, "answered"), transport).toBe(10);
    expect(await compare.result(transport, "per_second"), transport).toBeLessThan(30);
  }
});

test("settings stay within their limits", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  const count = page.locator('[data-setting="count"]');
  await count.fill("１２");
  await count.press("Tab");
  await expect(count).toHaveValue("12");
  await count.fill("1,5");
  await count.press("Tab");
  await expect(page.locator(".settings [role=alert]:not(:empty)")).toContainText("1,5");
  await expect(count).toHaveValue("12");
  await compare.set("payload", 1_000_000);
  await expect(page.locator('[data-setting="payload"]')).toHaveValue("16384");
  await compare.set("count", 1);
  await expect(page.locator('[data-setting="count"]')).toHaveValue("10");
});

test("a stopped run keeps the results measured so far", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  await compare.set("rate", 10);
  await compare.measure.click();
  await expect(compare.stop).toBeEnabled();
  // The second transport has started, so the first one has results.
  await expect(page.locator("#measure .hint[role=status]")).toContainText(ko.compare.way_topic, { timeout: 20_000 });
  await compare.stop.click();
  await expect(compare.measure).toBeEnabled({ timeout: 15_000 });
  await expect(compare.resultsNotice).toContainText(ko.compare.stopped);
  expect(await compare.result("socket", "answered")).toBeGreaterThan(0);
  expect(await compare.result("signal", "answered")).toBe(0);
});

test("results are stored, copied, and shared by a link", async ({ page, browser, baseURL }) => {
  const compare = await new ComparePage(page).open();
  await compare.set("count", 10);
  await compare.run();
  const cells = await compare.cells();
  const markdown = await compare.copy("copy_markdown");
  expect(markdown.trim().split("\n")).toHaveLength(TRANSPORTS.length + 2);
  expect(markdown).toContain(`| socket | ${cells.slice(0, 11).join(" | ")} |`);
  const csv = await compare.copy("copy_csv");
  expect(csv.trim().split("\n")).toHaveLength(TRANSPORTS.length + 1);
  expect(JSON.parse(await compare.copy("copy_json")).results.settings.count).toBe(10);
  const link = await compare.copy("copy_link");
  expect(link.length).toBeLessThan(2500);

  await page.reload();
  await expect(compare.rows).toHaveCount(TRANSPORTS.length);
  expect(await compare.cells()).toEqual(cells);
  await expect(compare.resultsNotice).toBeEmpty();

  const context = await browser.newContext({ locale: "en-US", baseURL });
  const other = new ComparePage(await context.newPage(), texts.en);
  await other.page.goto(link);
  await expect(other.rows).toHaveCount(TRANSPORTS.length);
  expect(await other.cells()).toEqual(cells);
  await expect(other.resultsNotice).toContainText(texts.en.compare.somebodys);
  await context.close();
});

test("push is measured against polling in real time", async ({ page }) => {
  const compare = await new ComparePage(page).open();
  const start = Date.now();
  await page.locator('[data-action="measure-staleness"]').click();
  await expect(compare.measure).toBeDisabled();
  await compare.expectDone();
  expect(Date.now() - start).toBeGreaterThan(44_000);
  expect(await compare.staleness("push", "missed")).toBe(0);
  expect(await compare.staleness("push", "seen")).toBeGreaterThan(3);
  expect(await compare.staleness("poll1", "requests")).toBe(45);
  expect(await compare.staleness("poll15", "requests")).toBe(3);
  expect(await compare.staleness("push", "late_p50_ms")).toBeLessThan(await compare.staleness("poll5", "late_p50_ms"));
  expect(await compare.staleness("poll1", "bytes_up")).toBeGreaterThan(await compare.staleness("push", "bytes_up"));
  await expect(page.locator("#stale p", { hasText: "{" })).toHaveCount(0);
});

test("leaving the page stops the run and closes its sockets", async ({ page, request }) => {
  const open = async () => (await (await request.get("/api/vitals")).json()).connections as number;
  await page.goto("/about");
  // Every page has the bell's session.
  await expect.poll(open).toBe(1);
  const compare = await new ComparePage(page).open();
  await compare.set("rate", 5);
  await compare.measure.click();
  await expect.poll(open).toBeGreaterThan(1);
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect.poll(open, { timeout: 20_000 }).toBe(1);
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });
  test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/was preloaded using link preload but not used/));

  test("the page explains what is measured and how", async ({ page }) => {
    await page.goto("/compare");
    await expect(page.locator("noscript")).toBeVisible();
    await expect(page.locator("#ways dt")).toHaveCount(TRANSPORTS.length);
    await expect(page.getByText(ko.compare.what_poll)).toBeVisible();
    await expect(page.getByText(ko.compare.how_tls)).toBeVisible();
    for (const id of ["measure", "results", "findings", "stale", "copy"]) await expect(page.locator(`#${id}`)).toBeHidden();
  });
});
