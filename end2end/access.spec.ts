// Authorization on a server with default settings: sign-in links, and the controls of devices.

import type { BrowserContext, Page } from "@playwright/test";
import { DevicesPage, Sensor } from "./support/devices-page";
import { Server } from "./support/server";
import { StatusPage } from "./support/status-page";
import { expect, test as base } from "./support/test";
import { en, ko } from "./support/texts";

const test = base.extend<{ defaultServer: Server }>({
  defaultServer: async ({ consoleErrors }, use) => {
    // The browser logs the rejected link, and the server stops before its pages close.
    consoleErrors.allow(/status of 403/, /WebSocket/, /ERR_/);
    const server = await Server.start(0, undefined, { demo: false });
    await use(server);
    await server.stop();
  },
});

const cookie = async (context: BrowserContext, server: Server) =>
  (await context.cookies(server.url)).find(({ name }) => name === "operator");

test("a sign-in link works once", async ({ page, browser, defaultServer }) => {
  const link = defaultServer.signInLink();
  // Link previews fetch the link, too: fetching it must not use it up.
  await page.goto(link);
  const response = await page.goto(link);
  expect(response!.headers()["referrer-policy"]).toBe("no-referrer");
  expect(await cookie(page.context(), defaultServer)).toBeUndefined();
  await page.getByRole("button", { name: ko.sign_in.button }).click();
  await expect(page).toHaveURL(`${defaultServer.url}/status`);
  await new StatusPage(page).expectLive();
  expect(await cookie(page.context(), defaultServer)).toMatchObject({ httpOnly: true, sameSite: "Strict" });

  const context = await browser.newContext({ javaScriptEnabled: false, locale: "en-GB" });
  const second = await context.newPage();
  await second.goto(link);
  await second.getByRole("button", { name: en.sign_in.button }).click();
  await expect(second.getByRole("heading")).toHaveText(en.sign_in.rejected);
  expect(await cookie(context, defaultServer)).toBeUndefined();
  await context.close();
});

test("a link signs in without scripts", async ({ browser, defaultServer }) => {
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR" });
  const page = await context.newPage();
  await page.goto(defaultServer.signInLink());
  await page.getByRole("button", { name: ko.sign_in.button }).click();
  await expect(page.getByRole("button", { name: ko.status.sign_out })).toBeVisible();
  await context.close();
});

/** Posts a form that the page does not offer. */
async function forge(page: Page, path: string): Promise<string> {
  const response = await page.request.post(path, {
    form: { act: "order", order: "reboot", argument: "" },
    headers: { origin: new URL(path).origin },
  });
  expect(response.status()).toBe(422);
  return response.text();
}

test("without --demo a visitor cannot send orders", async ({ page, request, defaultServer }) => {
  const sensor = new Sensor(request, defaultServer.url, defaultServer.data);
  await sensor.temperature(20);
  const path = defaultServer.url + sensor.path;
  const devices = await new DevicesPage(page).open(path);
  await expect(page.locator(".device-sign-in-note")).toContainText(ko.devices.operators_only);
  await expect(page.locator(".order-form")).toHaveCount(0);
  await expect(page.locator(".threshold")).toHaveCount(0);
  await expect(page.locator(".devices-demo")).toHaveCount(0);
  expect(await forge(page, path)).toContain(ko.devices.operators_only);

  await page.goto(defaultServer.signInLink());
  await page.getByRole("button", { name: ko.sign_in.button }).click();
  await expect(page).toHaveURL(`${defaultServer.url}/status`);
  await devices.open(path);
  await devices.order("identify");
  await expect(page.locator(".order").first()).toHaveAttribute("data-outcome", "sent");
  await devices.setThreshold("", "10");
  await expect(page.locator(".alarm")).toHaveAttribute("data-state", "active");
});

test("with --demo the page says that everyone may control devices", async ({ page, defaultServer }) => {
  await defaultServer.stop();
  const demo = await Server.start(0, undefined, { demo: true });
  await page.goto(`${demo.url}/devices`);
  await expect(page.locator(".devices-demo")).toHaveText(ko.devices.demo);
  await demo.stop();
});

test("a visitor controls their own browser", async ({ page, defaultServer }) => {
  const devices = await new DevicesPage(page).open(`${defaultServer.url}/devices`);
  await page.getByRole("button", { name: ko.devices.browser_start }).click();
  const tile = page.locator('.device[data-device^="browser-"]').first();
  await expect(tile).toHaveAttribute("data-health", "online", { timeout: 20_000 });
  await tile.getByRole("link").click();
  await expect(page.locator(".order-form")).toBeVisible();
  await devices.order("identify");
  await expect(page.locator(".order").first()).toHaveAttribute("data-outcome", "sent");
});
