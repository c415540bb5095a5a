// The operator's status page: live charts, their history, and access for operators only.

import { Writer } from "./support/chat-page";
import { Server, test } from "./support/server";
import { StatusPage } from "./support/status-page";
import { expect } from "./support/test";
import { en, ko } from "./support/texts";

const TOKEN = "a-token-for-the-tests";

const startServer = () => Server.start(0, undefined, { host: "0.0.0.0", args: ["--token", TOKEN] });

test("a signed-in operator sees live charts", async ({ page, request, server }) => {
  const status = await new StatusPage(page).openAs(server.token);
  await status.expectLive();
  await expect(status.value("websocket")).toHaveText("1");
  const before = await status.points("events");
  await expect.poll(() => status.points("events"), { timeout: 15_000 }).toBeGreaterThan(before);
  const writer = new Writer(request);
  for (let number = 0; number < 9; number++) await writer.post("lobby", `${number}`);
  await expect(page.locator("#busiest")).toContainText("chat/lobby", { timeout: 15_000 });
  await expect(page.locator("#kinds")).toContainText("chat", { timeout: 20_000 });
});

test("the history is shown at once", async ({ page, browser, server }) => {
  const status = await new StatusPage(page).openAs(server.token);
  await status.expectLive();
  await expect.poll(() => status.points("connections"), { timeout: 15_000 }).toBeGreaterThan(2);
  await expect(status.value("websocket")).toHaveText("1");
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR", baseURL: new URL(page.url()).origin });
  const plain = await new StatusPage(await context.newPage()).openAs(server.token);
  expect(await plain.points("connections")).toBeGreaterThan(2);
  await expect(plain.value("websocket")).toHaveText("1");
  await context.close();
});

test("the page shows a lost connection and resumes", async ({ page, context, consoleErrors, server }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  const status = await new StatusPage(page).openAs(server.token);
  await status.expectLive();
  await context.setOffline(true);
  await expect(status.dashboardStatus).toHaveAttribute("data-status", "waiting", { timeout: 60_000 });
  await expect(status.dashboardStatus).toContainText(ko.status.stale);
  await context.setOffline(false);
  await status.expectLive();
});

test.describe("on a public server", () => {
  // The server stops before the page does.
  test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/WebSocket/, /ERR_/));

  test("the page requires the token", async ({ page, consoleErrors, request }) => {
    // Rejected requests respond 401.
    consoleErrors.allow(/401/);
    const server = await startServer();
    const status = await new StatusPage(page).open(server.url);
    await expect(status.token).toBeVisible();
    await expect(status.charts).toHaveCount(0);
    expect((await request.get(`${server.url}/metrics`)).status()).toBe(401);
    await status.signIn("another-token-than-that");
    await expect(status.problem).toHaveText(ko.status.token_rejected);
    await status.signIn(TOKEN);
    await status.expectLive();
    const cookies = await page.context().cookies(server.url);
    const cookie = cookies.find(({ name }) => name === "operator");
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(cookie?.value).not.toContain(TOKEN);
    await page.getByRole("button", { name: ko.status.sign_out }).click();
    await expect(status.token).toBeVisible();
    await server.stop();
  });

  test("without scripts the page has the form and the values", async ({ browser }) => {
    const server = await startServer();
    const context = await browser.newContext({ javaScriptEnabled: false, locale: "en-GB" });
    const status = await new StatusPage(await context.newPage()).open(server.url);
    await status.page.getByLabel(en.status.token, { exact: true }).fill(TOKEN);
    await status.page.getByRole("button", { name: en.status.enter }).click();
    await expect(status.value("resident")).toBeVisible();
    await expect
      .poll(async () => (await status.open(server.url)).value("resident").textContent(), { timeout: 15_000 })
      .toMatch(/MiB/);
    await context.close();
    await server.stop();
  });

  test("client-side navigation also leads a visitor to the form", async ({ page }) => {
    const server = await startServer();
    await page.goto(`${server.url}/about`);
    await page.getByRole("navigation").getByRole("link", { name: ko.app.status, exact: true }).click();
    await expect(new StatusPage(page).token).toBeVisible();
    await server.stop();
  });
});
