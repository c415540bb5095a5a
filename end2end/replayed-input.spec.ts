// Input before hydration, as on a slow connection: every page keeps typed text and replays each click once, and the browser does not
// submit a form.

import type { Locator, Page } from "@playwright/test";
import { ChatPage, createRoom } from "./support/chat-page";
import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { en, ko } from "./support/texts";

const PAGES = ["/", "/about", "/chat", "/arena", "/compare", "/notifications", "/market", "/market/hnb", "/devices", "/status"];
/** Excludes the form that only the browser submits. */
const CONTROLS = "#content :is(button:not(:disabled), input[type=submit]):not(form[action='/'] *)";
const FIELDS = "#content :is(input:not([type=hidden], [type=file], [readonly], :disabled), textarea:not([readonly]), select)";

/** Opens the page without its module. The returned function lets the module load. */
async function openBeforeHydration(page: Page, path: string): Promise<() => void> {
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  const modules = /\/pkg\/duplex\.[^/]*\.wasm$/;
  await page.route(modules, async (route) => {
    await released;
    await route.continue();
  });
  await page.goto(path, { waitUntil: "commit" });
  await page.waitForFunction(() => document.readyState !== "loading" && "duplexPage" in window);
  await page.evaluate(() => Object.assign(window, { sameDocument: true, clicks: [] }));
  await page.evaluate(() =>
    addEventListener("click", (event) => !event.isTrusted && (event.target as Element).closest("button") && (window as unknown as { clicks: string[] }).clicks.push((event.target as Element).outerHTML), true),
  );
  return release;
}

const isSameDocument = (page: Page) => page.evaluate(() => "sameDocument" in window);
const clicks = (page: Page) => page.evaluate(() => (window as unknown as { clicks: string[] }).clicks.length);

/** Changes the field, and returns a check that it keeps the value. */
async function type(field: Locator): Promise<() => Promise<void>> {
  const { tag, kind, numeric, options, checked } = await field.evaluate((element) => {
    const { localName, type, value, checked, inputMode } = element as HTMLInputElement;
    const options = element instanceof HTMLSelectElement ? [...element.options].filter((option) => !option.disabled && option.value !== value).map((option) => option.value) : [];
    return { tag: localName, kind: type, numeric: type === "number" || ["numeric", "decimal"].includes(inputMode), options, checked };
  });
  if (tag === "select") {
    if (options.length === 0) return async () => {};
    await field.selectOption(options.at(-1)!);
    return () => expect(field).toHaveValue(options.at(-1)!);
  }
  if (kind === "checkbox" || kind === "radio") {
    await field.setChecked(kind === "radio" || !checked);
    return () => expect(field).toBeChecked({ checked: kind === "radio" || !checked });
  }
  if (kind === "range") return async () => {};
  const text = numeric ? "17" : kind === "text" && (await field.getAttribute("name")) === "address" ? "/api/socket?typed" : "미리 쓴 글";
  await field.fill(text);
  return () => expect(field).toHaveValue(text);
}

for (const path of PAGES) {
  test(`${path}: the fields keep their input, and a click is replayed once`, async ({ page }) => {
    const release = await openBeforeHydration(page, path);
    const fields = page.locator(FIELDS).filter({ visible: true });
    const checks: (() => Promise<void>)[] = [];
    for (const field of await fields.all()) checks.push(await type(field));
    await page.getByRole("button", { name: "English", exact: true }).click();
    release();
    await expect(page.locator("html")).toHaveAttribute("lang", "en");
    for (const check of checks) await check();
    expect(await clicks(page)).toBe(1);
    expect(await isSameDocument(page)).toBe(true);
  });

  test(`${path}: a click on each button is replayed`, async ({ page }) => {
    test.slow();
    const controls = page.locator(CONTROLS).filter({ visible: true });
    for (let index = 0; index < 6; index++) {
      const release = await openBeforeHydration(page, path);
      if (index >= (await controls.count())) return release();
      const button = controls.nth(index);
      await button.click();
      await button.click();
      expect(await clicks(page)).toBe(0);
      release();
      await expect.poll(() => clicks(page), { message: `button ${index}` }).toBe(1);
      expect(await isSameDocument(page)).toBe(true);
    }
  });
}

test("Enter before hydration sends the echo's message once", async ({ page }) => {
  const sent: string[] = [];
  page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(String(payload))));
  const release = await openBeforeHydration(page, "/");
  const echo = new EchoPage(page);
  await echo.message.fill("이른 엔터");
  await echo.message.press("Enter");
  await page.locator("#compose").getByRole("button", { name: ko.echo.send, exact: true }).click();
  release();
  await expect.poll(() => sent.filter((text) => text === "이른 엔터").length).toBe(1);
  await expect(echo.message).toHaveValue("");
  await expect(page).toHaveURL("/");
  expect(sent.filter((text) => text === "이른 엔터")).toHaveLength(1);
});

test("a message sent before hydration is posted once, by the app and not by the form", async ({ page, request }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  const posts: string[] = [];
  page.on("request", (request) => request.method() === "POST" && request.isNavigationRequest() && posts.push(request.url()));
  const release = await openBeforeHydration(page, `/chat/${chat.room}`);
  await chat.field.fill("이른 말");
  await chat.field.press("Enter");
  release();
  await expect(chat.message("이른 말")).toHaveCount(1);
  await expect(chat.field).toHaveValue("");
  expect(posts).toEqual([]);
});

test("input is kept before hydration.js has loaded", async ({ page, request }) => {
  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  await page.route(/\/pkg\/hydration\.[^/]*\.js$/, async (route) => {
    await released;
    await route.continue();
  });
  await page.goto(`/chat/${chat.room}`, { waitUntil: "commit" });
  await chat.field.fill("가장 이른 말");
  await chat.field.press("Enter");
  release();
  await expect(chat.message("가장 이른 말")).toHaveCount(1);
  await expect(chat.field).toHaveValue("");
});

test("if hydration.js fails to load, the page works as without scripts", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/Duplex: the app has stopped/, /ERR_FAILED/);
  await page.route(/\/pkg\/hydration\.[^/]*\.js$/, (route) => route.abort());
  await page.goto("/about");
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await page.getByRole("navigation").getByRole("link", { name: en.app.status, exact: true }).click();
  await expect(page).toHaveURL("/status");
});

test("a click before hydration sets a star", async ({ page }) => {
  const release = await openBeforeHydration(page, "/market");
  const star = page.locator(".star").first();
  await expect(star).toHaveAttribute("aria-pressed", "false");
  await star.click();
  release();
  await expect(page.locator(".star[aria-pressed=true]")).toHaveCount(1);
});

test("a click before hydration starts a measurement", async ({ page }) => {
  const release = await openBeforeHydration(page, "/compare");
  await page.locator("[data-action=measure]").click();
  release();
  await expect(page.locator("[data-action=stop]")).toBeEnabled();
});

test("the name typed in the arena is not replaced by the stored one", async ({ page }) => {
  const release = await openBeforeHydration(page, "/arena");
  const name = page.locator(".arena-panel input[name=name]");
  await name.fill("이른새");
  release();
  const play = page.locator(".arena-play");
  await expect(play).toBeEnabled();
  await expect(name).toHaveValue("이른새");
  await play.click();
  await expect(page.locator("#arena-board")).toContainText("이른새");
});

test("if the wasm module fails to load, the page works as without scripts", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/Duplex: the app has stopped/, /ERR_FAILED/, /Failed to (fetch|load)/);
  await page.route(/\/pkg\/duplex\.[^/]*\.(js|wasm)$/, (route) => route.abort());
  await page.goto("/about");
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
});
