// The operator's page: live, with what was before it was opened, and for nobody else.

import { Writer } from "./support/chat-page";
import { Server, test } from "./support/server";
import { StatusPage } from "./support/status-page";
import { expect } from "./support/test";
import { en, ko } from "./support/texts";

const TOKEN = "a-token-for-the-tests";

const open = () => Server.start(0, undefined, { host: "0.0.0.0", more: ["--token", TOKEN] });

test("whoever signed in sees the charts live", async ({ page, request, server }) => {
  const status = await new StatusPage(page).openAs(server.token);
  await status.live();
  await expect(status.fact("websocket")).toHaveText("1");
  const before = await status.points("events");
  await expect.poll(() => status.points("events"), { timeout: 15_000 }).toBeGreaterThan(before);
  const writer = new Writer(request);
  for (let number = 0; number < 9; number++) await writer.post("lobby", `${number}`);
  await expect(page.locator("#busiest")).toContainText("chat/lobby", { timeout: 15_000 });
  await expect(page.locator("#kinds")).toContainText("chat", { timeout: 20_000 });
});

test("what was before is there at once", async ({ page, browser, server }) => {
  const status = await new StatusPage(page).openAs(server.token);
  await status.live();
  await expect.poll(() => status.points("connections"), { timeout: 15_000 }).toBeGreaterThan(2);
  await expect(status.fact("websocket")).toHaveText("1");
  const context = await browser.newContext({ javaScriptEnabled: false, locale: "ko-KR", baseURL: new URL(page.url()).origin });
  const still = await new StatusPage(await context.newPage()).openAs(server.token);
  expect(await still.points("connections")).toBeGreaterThan(2);
  await expect(still.fact("websocket")).toHaveText("1");
  await context.close();
});

test("a page that lost the server says so, and goes on", async ({ page, context, complaints, server }) => {
  complaints.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  const status = await new StatusPage(page).openAs(server.token);
  await status.live();
  await context.setOffline(true);
  await expect(status.state).toHaveAttribute("data-status", "waiting", { timeout: 60_000 });
  await expect(status.state).toContainText(ko.status.stale);
  await context.setOffline(false);
  await status.live();
});

test.describe("on a server for others, too", () => {
  // The server ends before the page does.
  test.beforeEach(({ complaints }) => complaints.allow(/WebSocket/, /ERR_/));

  test("only the token opens it", async ({ page, complaints, request }) => {
    // A page that nobody may see says so by its answers.
    complaints.allow(/401/);
    const server = await open();
    const status = await new StatusPage(page).open(server.url);
    await expect(status.token).toBeVisible();
    await expect(status.charts).toHaveCount(0);
    expect((await request.get(`${server.url}/metrics`)).status()).toBe(401);
    await status.signIn("another-token-than-that");
    await expect(status.problem).toHaveText(ko.status.refused);
    await status.signIn(TOKEN);
    await status.live();
    const cookies = await page.context().cookies(server.url);
    const cookie = cookies.find(({ name }) => name === "operator");
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(cookie?.value).not.toContain(TOKEN);
    await page.getByRole("button", { name: ko.status.sign_out }).click();
    await expect(status.token).toBeVisible();
    await server.stop();
  });

  test("without scripts, the form and the values are there", async ({ browser }) => {
    const server = await open();
    const context = await browser.newContext({ javaScriptEnabled: false, locale: "en-GB" });
    const status = await new StatusPage(await context.newPage()).open(server.url);
    await status.page.getByLabel(en.status.token, { exact: true }).fill(TOKEN);
    await status.page.getByRole("button", { name: en.status.enter }).click();
    await expect(status.fact("resident")).toBeVisible();
    await expect
      .poll(async () => (await status.open(server.url)).fact("resident").textContent(), { timeout: 15_000 })
      .toMatch(/MiB/);
    await context.close();
    await server.stop();
  });

  test("within the app, a visitor gets the form as well", async ({ page }) => {
    const server = await open();
    await page.goto(`${server.url}/about`);
    await page.getByRole("navigation").getByRole("link", { name: ko.app.status, exact: true }).click();
    await expect(new StatusPage(page).token).toBeVisible();
    await server.stop();
  });
});
