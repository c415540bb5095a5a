// The tally in a browser: tabs count together, across a killed server and without JavaScript.

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

  async shows(total: number, why: string): Promise<void> {
    await expect(this.page.getByRole("status", { name: "Total" }), why).toHaveText(String(total));
  }

  async says(text: RegExp, why: string): Promise<void> {
    // Reconnecting backs off while the server is away.
    await expect(this.page.locator(".status"), why).toHaveText(text, { timeout: 20_000 });
  }
}

test("two tabs count together, and nothing is lost or doubled when the server is killed", async ({ context, server, complaints }) => {
  complaints.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/, /ERR_CONNECTION_RESET/, /ERR_EMPTY_RESPONSE/, /Failed to fetch/);
  const tabs = [new Tab(await context.newPage()), new Tab(await context.newPage())];
  const [one, other] = tabs;
  for (const tab of tabs) {
    await tab.open();
    await tab.says(/^Live/, "the page hydrates and connects");
  }
  await one.add(3);
  await other.add(2);
  for (const tab of tabs) await tab.shows(5, "what either tab adds, both show");

  // The server dies with commands on the way: answered, kept and not answered, or not received.
  await Promise.all([one.addAtOnce(4), server.end("SIGKILL")]);
  for (const tab of tabs) await tab.says(/^Connecting/, "the page says that the server is away");
  await one.add(2);
  await other.add();
  await other.says(/then 1 to add/, "what is added meanwhile waits in the tab");

  await server.start();
  for (const tab of tabs) {
    await tab.says(/^Live/, "the tab reconnects by itself");
    await tab.shows(12, "each command counts once");
  }
  await other.add();
  for (const tab of tabs) await tab.shows(13, "both tabs go on");
  const late = await new Tab(await context.newPage()).open();
  await late.shows(13, "the log has all of it");
});

test("the server ends in order at SIGTERM", async ({ page, server, complaints }) => {
  complaints.allow(/WebSocket/, /ERR_CONNECTION_REFUSED/);
  const tab = await new Tab(page).open();
  await tab.says(/^Live/, "a session is open");
  expect(await server.end("SIGTERM")).toBe(0);
});

test("the page is accessible in light and dark", async ({ page }) => {
  const tab = await new Tab(page).open();
  await tab.says(/^Live/, "the page is complete");
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html)]), colorScheme).toEqual([]);
  }
});

test.describe("without JavaScript", () => {
  test.use({ javaScriptEnabled: false });

  test("the form counts, and the page shows the number", async ({ page, server, complaints }) => {
    // Chromium loads the page's program ahead even where it may not run it.
    complaints.allow(/was preloaded using link preload but not used/);
    const tab = await new Tab(page).open();
    await tab.shows(0, "the number is in the HTML");
    await tab.add(2);
    await tab.shows(2, "each post goes back to the page");
    await expect(page).toHaveURL(`${server.url}/`);
    await page.reload();
    await tab.shows(2, "to load the page again adds nothing");
    await expect(page.locator(".status"), "there is no connection to speak of").toBeHidden();
  });
});
