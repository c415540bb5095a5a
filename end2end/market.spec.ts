// The market: live prices, candles, the watch list and alerts, across connection failures.

import { MarketPage } from "./support/market-page";
import { Server } from "./support/server";
import { expect, test } from "./support/test";
import { en, fill, ko, pattern } from "./support/texts";

/** The most traded symbol of the simulated market, with several trades a second. */
const BUSY = "dra-usd";

test("prices change, and two browsers show the same ones", async ({ page, browser }) => {
  const market = await new MarketPage(page).open();
  expect(await market.rows.count()).toBeGreaterThan(50);
  await expect(page.locator(".market-source")).toContainText(ko.market.simulated);
  const before = await market.price(BUSY).textContent();
  await expect(market.price(BUSY)).not.toHaveText(before!);
  await expect(market.price(BUSY)).toHaveAttribute("data-flash", /^(up|down)-[01]$/);
  const context = await browser.newContext({ locale: "en-US", baseURL: new URL(page.url()).origin });
  const other = await new MarketPage(await context.newPage()).open();
  await expect(other.page.locator(".market-source")).toContainText(en.market.simulated);
  const same = async () => {
    const [first, second] = await Promise.all([market.price("oga").textContent(), other.price("oga").textContent()]);
    return first === second;
  };
  await expect.poll(same).toBe(true);
  await context.close();
});

test("a trade changes only the cells of its symbol", async ({ page }) => {
  await new MarketPage(page).open();
  const { changedRows, unexpected } = await page.locator(".market-table tbody").evaluate(observeCells);
  expect(changedRows).toBeGreaterThan(3);
  expect(unexpected).toEqual([]);
});

/** Observes the table for two seconds. Returns the number of changed rows, and the changes without a trade, which raises the volume. */
function observeCells(table: Element): Promise<{ changedRows: number; unexpected: string[] }> {
  const volume = (row: Element) => row.querySelector(".cell-volume")!.textContent;
  const before = new Map([...table.children].map((row) => [row, volume(row)]));
  const changed = new Map<Element, Set<string>>();
  const unexpected: string[] = [];
  const observer = new MutationObserver((records) => {
    for (const { target, type } of records) {
      const element = target instanceof Element ? target : target.parentElement!;
      const row = element.closest("tr");
      // All sparklines are updated together every ten seconds.
      if (element.closest(".cell-spark")) continue;
      if (!row) unexpected.push(`${type} of ${element.tagName}`);
      else changed.set(row, (changed.get(row) ?? new Set()).add(element.closest("td, th")?.className ?? "row"));
    }
  });
  observer.observe(table, { subtree: true, childList: true, characterData: true, attributes: true });
  return new Promise((resolve) => {
    setTimeout(() => {
      observer.disconnect();
      for (const [row, cells] of changed) {
        if (volume(row) === before.get(row)) unexpected.push(`${row.getAttribute("data-symbol")}: ${[...cells].join()}`);
      }
      resolve({ changedRows: changed.size, unexpected });
    }, 2000);
  });
}

test("reduced motion disables the flash", async ({ page }) => {
  await page.emulateMedia({ reducedMotion: "reduce" });
  const market = await new MarketPage(page).open();
  await expect(market.price(BUSY)).toHaveAttribute("data-flash", /./);
  const animation = await market.price(BUSY).evaluate((price) => getComputedStyle(price).animationName);
  expect(animation).toBe("none");
});

test("the table is sorted, searched and filtered by the watch list", async ({ page }) => {
  const market = await new MarketPage(page).open();
  const head = (column: string) => page.locator("th", { has: market.column(column) });
  await expect(head("name")).toHaveAttribute("aria-sort", "ascending");
  await market.column("change").click();
  await expect(head("change")).toHaveAttribute("aria-sort", "descending");
  await expect(head("name")).toHaveAttribute("aria-sort", "none");
  await market.column("name").click();
  const ascending = await market.symbols();
  await market.column("name").press("Enter");
  await expect(head("name")).toHaveAttribute("aria-sort", "descending");
  expect(await market.symbols()).toEqual(ascending.toReversed());

  await market.search.fill("hannuri");
  await expect(market.rows).toHaveCount(1);
  await market.row("hnb").locator(".star").click();
  await expect(market.row("hnb").locator(".star")).toHaveAttribute("aria-pressed", "true");
  await market.search.fill("zzz");
  await expect(page.getByText(ko.market.none_found)).toBeVisible();
  await market.search.fill("");

  await page.reload();
  await market.expectLive();
  await page.getByRole("button", { name: fill(ko.market.watch_list, { count: 1 }) }).click();
  await expect(market.rows).toHaveCount(1);
  await market.row("hnb").locator(".star").click();
  await expect(page.getByText(ko.market.none_watched)).toBeVisible();
});

test("a symbol has candles at several intervals, a readout and trades", async ({ page, consoleErrors }) => {
  const market = await new MarketPage(page).open();
  await market.row(BUSY).getByRole("link").click();
  await expect(page).toHaveURL(`/market/${BUSY}`);
  await market.expectLive();
  const rise = page.locator(".plot > path.rise");
  const minutes = await rise.getAttribute("d");
  await page.getByRole("link", { name: ko.market.hour, exact: true }).click();
  await expect(page).toHaveURL(/interval=1h/);
  await expect(rise).not.toHaveAttribute("d", minutes!);

  const readout = page.locator(".readout");
  const newest = await readout.textContent();
  const plot = page.locator("svg.plot");
  const box = (await plot.boundingBox())!;
  await plot.hover({ position: { x: box.width / 2, y: box.height / 2 } });
  await expect(page.locator(".crosshair")).toHaveCount(1);
  await expect(readout).not.toHaveText(newest!);
  const slider = page.getByRole("slider");
  await slider.focus();
  await slider.press("ArrowLeft");
  await expect(slider).toHaveAttribute("aria-valuetext", (await readout.textContent())!);

  const first = page.locator(".trades tbody tr").first();
  const trade = await first.textContent({ timeout: 15_000 });
  await expect(first).not.toHaveText(trade!, { timeout: 15_000 });
  consoleErrors.allow(/status of 404/);
  const nothing = await page.goto("/market/nothing-such");
  expect(nothing?.status()).toBe(404);
  await expect(page.getByRole("heading", { level: 1, name: ko.market.no_symbol })).toBeVisible();
});

test("an alert is validated, set, removed, and notified when it is reached", async ({ page, browser }) => {
  const market = await new MarketPage(page).open(BUSY);
  await market.alert("abc", ko.market.above);
  await expect(page.getByText(ko.market.bad_price)).toBeVisible();
  const item = await market.alert("99999999", ko.market.above);
  await expect(item).toContainText("99,999,999");
  await expect(item).toHaveAttribute("data-reached", "false");
  await item.getByRole("button").click();
  await expect(page.getByText(ko.market.no_alerts)).toBeVisible();
  // For a condition that is already met the page warns first; repeating sets the alert.
  const reached = await market.alert("1", ko.market.above);
  await expect(page.locator(".alert-already-reached")).toHaveText(pattern(ko.market.already_above));
  await expect(reached).toHaveCount(0);
  await market.alert("1", ko.market.above);
  await expect(page.locator(".alert-already-reached")).toBeEmpty();
  await expect(reached).toHaveAttribute("data-reached", "true");
  await page.reload();
  await expect(page.locator(".alert-item")).toHaveCount(1);
  await expect(page.locator(".alert-item")).toHaveAttribute("data-reached", "true");

  const context = await browser.newContext({ locale: "ko-KR", baseURL: new URL(page.url()).origin });
  const other = await new MarketPage(await context.newPage()).open(BUSY);
  await expect(other.page.getByText(ko.market.no_alerts)).toBeVisible();
  await context.close();
});

test("a price is parsed in local notation", async ({ page }) => {
  const market = await new MarketPage(page).open("dra-usd");
  const item = await market.alert("９９９．９９９,5", ko.market.above);
  await expect(page.locator(".alert-form .parsed-hint")).toHaveText(fill(ko.number.read_as, { number: "999999.5" }));
  await expect(item).toContainText("999,999.50");
  for (const wrong of ["1,2,3", "0", "-5"]) {
    await market.alert(wrong, ko.market.above);
    await expect(page.getByText(ko.market.bad_price)).toBeVisible();
    await expect(page.locator(".alert-item")).toHaveCount(1);
  }
  await market.alert("1,005.001", ko.market.above);
  await expect(page.getByText(fill(ko.market.too_fine_price, { step: "0.01" }))).toBeVisible();
  await expect(page.locator(".alert-item")).toHaveCount(1);
  await market.alert("1,005", ko.market.below);
  await expect(page.locator(".alert-item").first()).toContainText("1,005.00");
  await market.open("hnb");
  await market.alert("1,5", ko.market.above);
  await expect(page.getByText(ko.market.whole_price), "its prices have no decimals").toBeVisible();
});

test("the page resumes after a server restart", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/WebSocket|ERR_|Failed to load/);
  let server = await Server.start();
  await page.goto(`${server.url}/market`);
  const market = new MarketPage(page);
  await market.expectLive();
  await server.stop("SIGKILL");
  await expect(market.status).toHaveAttribute("data-status", "waiting");
  const old = await market.price(BUSY).textContent();
  server = await Server.start(server.port, server.data);
  await market.expectLive();
  await expect(market.price(BUSY)).not.toHaveText(old!);
  await server.stop();
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });
  test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/was preloaded using link preload but not used/));

  test("the page shows the table and the candles", async ({ page }) => {
    await page.goto("/market");
    const market = new MarketPage(page);
    expect(await market.rows.count()).toBeGreaterThan(50);
    await expect(market.price("hnb")).toHaveText(/^[\d,]+$/);
    await expect(page.locator(".market-toolbar .segmented-control")).toBeHidden();
    await market.row("hnb").getByRole("link").click();
    await page.getByRole("link", { name: ko.market.day, exact: true }).click();
    await expect(page).toHaveURL("/market/hnb?interval=1d");
    await expect(page.locator(".plot > path.rise")).toHaveAttribute("d", /^M/);
    await expect(page.getByText(ko.market.alerts_no_script)).toBeVisible();
  });

  test("the table is searched and sorted by a form", async ({ page }) => {
    const market = new MarketPage(page);
    await page.goto("/market");
    await market.column("change").click();
    await expect(page).toHaveURL(/sort=-change/);
    await expect(page.locator('th[aria-sort="descending"]')).toHaveCount(1);
    await page.getByRole("searchbox").fill("hnb");
    await page.getByRole("searchbox").press("Enter");
    await expect(market.rows).toHaveCount(1);
    await expect(page.getByRole("searchbox")).toHaveValue("hnb");
  });
});
