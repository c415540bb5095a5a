// The tally example: tabs share one count, which survives a killed server and works without JavaScript.

import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, test as base } from "../support/test";
import { TallyServer } from "./server";

const test = base.extend<{ server: TallyServer }>({
  server: async ({}, use) => {
    const server = new TallyServer();
    await server.start();
    await use(server);
    await server.remove();
  },
  baseURL: async ({ server }, use) => use(server.url),
});

class Tab {
  constructor(readonly page: Page) {}

  async open(): Promise<this> {
    await this.page.goto("/");
    return this;
  }

  async add(times = 1): Promise<void> {
    for (let time = 0; time < times; time++) await this.page.getByRole("button", { name: "Add one" }).click();
  }

  async addAtOnce(times: number): Promise<void> {
    const button = this.page.getByRole("button", { name: "Add one" });
    await button.evaluate((button: HTMLElement, times) => {
      for (let time = 0; time < times; time++) button.click();
    }, times);
  }

  async expectTotal(total: number, reason: string): Promise<void> {
    await expect(this.page.getByRole("status", { name: "Total" }), reason).toHaveText(String(total));
  }

  async expectStatus(text: RegExp, reason: string): Promise<void> {
    // Reconnecting backs off while the server is down.
    await expect(this.page.locator(".status"), reason).toHaveText(text, { timeout: 20_000 });
  }
}

test("two tabs share a count, and killing the server neither loses nor duplicates a command", async ({ context, server, consoleErrors }) => {
  consoleErrors.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/, /Failed to fetch/);
  const tabs = [new Tab(await context.newPage()), new Tab(await context.newPage())];
  const [one, other] = tabs;
  for (const tab of tabs) {
    await tab.open();
    await tab.expectStatus(/^Live/, "the page hydrates and connects");
  }
  await one.add(3);
  await other.add(2);
  for (const tab of tabs) await tab.expectTotal(5, "both tabs show what either adds");

  // The server dies with commands in flight: answered, committed but not answered, or not received.
  await Promise.all([one.addAtOnce(4), server.stop("SIGKILL")]);
  for (const tab of tabs) await tab.expectStatus(/^Connecting/, "the page shows that the server is down");
  await one.add(2);
  await other.add();
  await other.expectStatus(/then 1 to add/, "commands sent meanwhile wait in the tab");

  await server.start();
  for (const tab of tabs) {
    await tab.expectStatus(/^Live/, "the tab reconnects by itself");
    await tab.expectTotal(12, "each command counts once");
  }
  await other.add();
  for (const tab of tabs) await tab.expectTotal(13, "both tabs continue");
  const newTab = await new Tab(await context.newPage()).open();
  await newTab.expectTotal(13, "a new tab shows the stored count");
});

test("the server shuts down gracefully on SIGTERM", async ({ page, server, consoleErrors }) => {
  consoleErrors.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/);
  const tab = await new Tab(page).open();
  await tab.expectStatus(/^Live/, "a session is open");
  expect(await server.stop("SIGTERM")).toBe(0);
});

test("the page is accessible in light and dark", async ({ page }) => {
  const tab = await new Tab(page).open();
  await tab.expectStatus(/^Live/, "the page is complete");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), colorScheme).toEqual([]);
  }
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("the form adds to the count", async ({ page, server, consoleErrors }) => {
    // Chromium preloads the page's module even with scripts disabled.
    consoleErrors.allow(/was preloaded using link preload but not used/);
    const tab = await new Tab(page).open();
    await tab.expectTotal(0, "the number is in the HTML");
    await tab.add(2);
    await tab.expectTotal(2, "each post redirects back to the page");
    await expect(page).toHaveURL(`${server.url}/`);
    await page.reload();
    await tab.expectTotal(2, "reloading the page adds nothing");
    await expect(page.locator(".status"), "there is no connection").toBeHidden();
  });
});
