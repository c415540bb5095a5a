// Usability with touch, wheel and keyboard, with long texts on phones, and in forced colours.

import type { Locator, Page } from "@playwright/test";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { Sensor } from "./support/devices-page";
import { EchoPage } from "./support/echo-page";
import { send } from "./support/notifications-page";
import { test } from "./support/server";
import { expect } from "./support/test";
import { ko } from "./support/texts";

const LONG_WORD = "W".repeat(60);
const LONG_NAME = "이름이아주긴사람이름이아주긴사람이름이아주긴".slice(0, 24);
const PAGES = ["/", "/about", "/chat", "/arena", "/compare", "/notifications", "/market", "/market/hnb", "/devices", "/status", "/no/such/page"];

const tooWide = (page: Page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);

async function expectWithinViewport(locator: Locator): Promise<void> {
  const box = (await locator.boundingBox())!;
  const { width, height } = locator.page().viewportSize()!;
  expect(box.x).toBeGreaterThanOrEqual(0);
  expect(box.y).toBeGreaterThanOrEqual(0);
  expect(box.x + box.width).toBeLessThanOrEqual(width);
  expect(box.y + box.height).toBeLessThanOrEqual(height);
}

for (const width of [320, 390]) {
  test.describe(`a phone of ${width} pixels`, () => {
    test.use({ viewport: { width, height: 700 }, hasTouch: true, isMobile: true });

    test("Send and Cancel stay within the window while replying", async ({ page, request }) => {
      const chat = new ChatPage(page);
      await createRoom(request, chat.room);
      await new Writer(request).post(chat.room, `${LONG_WORD} ${"긴 말 ".repeat(60)}`);
      await chat.open();
      await chat.messages.first().locator(".menu-button").click();
      await chat.messages.first().locator("[data-action=reply]").click();
      await expect(page.locator(".replying")).toBeVisible();
      await expectWithinViewport(page.locator(".replying .button"));
      await expectWithinViewport(page.locator(".composer .button.primary"));
      await chat.field.fill(LONG_WORD.repeat(3));
      await expectWithinViewport(page.locator(".composer .button.primary"));
      expect(await tooWide(page)).toBeLessThanOrEqual(0);
    });

    test("no long word, title or name widens a page", async ({ page, request, server, consoleErrors }) => {
      test.slow();
      consoleErrors.allow(/status of 404 .*(\/no\/such\/page|\/chat\/nobody-made)/);
      const room = String(width).padStart(32, "r");
      const writer = new Writer(request);
      await writer.command("rooms/all", { create: { room, title: LONG_WORD } });
      await writer.post(room, LONG_WORD.repeat(8));
      await send(request, server, { to: "everyone", title: LONG_WORD, body: LONG_WORD.repeat(3), link: "/about" });
      const sensor = new Sensor(request, server.url, server.data);
      await sensor.report([{ metric: "m".repeat(32), value: 123_456_789_012, unit: "u".repeat(12) }], { name: LONG_WORD.slice(0, 32) });
      await page.context().addCookies([{ name: "name", value: encodeURIComponent(LONG_NAME), url: server.url }]);
      for (const path of [...PAGES, `/chat/${room}`, sensor.path, "/chat/nobody-made-this-room-with-a-long-name"]) {
        await page.goto(path);
        await expect(page.locator("#content > *").first()).toBeVisible();
        await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
        expect(await tooWide(page), path).toBeLessThanOrEqual(0);
        for (const details of await page.locator("#content details > summary").filter({ visible: true }).all()) await details.click();
        expect(await tooWide(page), `${path}, all open`).toBeLessThanOrEqual(0);
      }
    });
  });
}

test("a list without overflow passes the wheel to the page", async ({ page, request }) => {
  await page.setViewportSize({ width: 1000, height: 500 });
  const echo = await new EchoPage(page).open();
  await echo.revealLazyCards();
  const list = page.locator("#journal .virtual-list");
  await list.evaluate((list) => list.scrollIntoView({ block: "center" }));
  await expect(list).toHaveAttribute("data-scrollable", "false");
  await expect(list).toHaveCSS("overscroll-behavior-y", "auto");
  const before = await page.evaluate(() => scrollY);
  await list.hover();
  await page.mouse.wheel(0, -200);
  await expect.poll(() => page.evaluate(() => scrollY)).toBeLessThan(before);

  const chat = new ChatPage(page);
  await createRoom(request, chat.room);
  await chat.open();
  await expect(page.getByRole("log")).toHaveAttribute("data-scrollable", "false");
  await expect(page.getByRole("log")).toHaveCSS("overscroll-behavior-y", "auto");
  const writer = new Writer(request);
  for (let number = 0; number < 5; number++) await writer.post(chat.room, "줄\n".repeat(12));
  await expect(page.getByRole("log")).toHaveAttribute("data-scrollable", "true");
  await expect(page.getByRole("log")).toHaveCSS("overscroll-behavior-y", "contain");
});

test.describe("a keyboard", () => {
  const focused = (page: Page) => page.evaluate(() => document.activeElement?.id || document.activeElement?.className || document.activeElement?.localName);

  test("reaches the composer of a room of 500 messages in three Tabs, and each message's controls", async ({ page, request }) => {
    test.slow();
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    for (let number = 0; number < 500; number += 1) {
      await new Writer(request).post(chat.room, number % 3 === 0 ? `https://example.com/${number}` : `줄 ${number}.`);
    }
    await chat.open();
    await expect(chat.message("줄 499.")).toHaveCount(1);
    // From the start of the page, by its second skip link.
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await expect(page.getByRole("link", { name: ko.chat.skip })).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(chat.field).toBeFocused();
    // From the messages.
    await page.getByRole("log").focus();
    let tabs = 0;
    for (; tabs < 3 && (await focused(page)) !== "message-field"; tabs++) await page.keyboard.press("Tab");
    await expect(chat.field).toBeFocused();

    await page.getByRole("log").focus();
    await page.keyboard.press("End");
    await expect(chat.message("줄 499.")).toBeFocused();
    await page.keyboard.press("ArrowUp");
    const last = chat.messages.filter({ hasText: "example.com/498" });
    await expect(last).toBeFocused();
    await page.keyboard.press("Tab");
    await expect(last.getByRole("link")).toBeFocused();
    await page.keyboard.press("Tab");
    await expect(last.locator(".menu-button")).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(last.locator(".menu")).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(last.locator(".menu-button")).toBeFocused();
    await page.keyboard.press("ArrowDown");
    await expect(chat.message("줄 499.")).toBeFocused();
    await page.keyboard.press("Home");
    await expect(chat.message("줄 499.")).not.toBeInViewport();
  });

  test("keeps the focus in the messages while older ones load", async ({ page, request }) => {
    test.slow();
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    let writer = new Writer(request);
    for (let number = 0; number < 300; number += 1) {
      // The first row shows its author's name until the previous message has loaded.
      if (number % 7 === 0) writer = new Writer(request);
      await writer.post(chat.room, `줄 ${number}.`);
    }
    await chat.open();
    await page.getByRole("log").focus();
    await page.keyboard.press("End");
    await expect(chat.message("줄 299.")).toBeFocused();
    const first = (await chat.messages.first().getAttribute("id"))!;
    await page.keyboard.press("Home");
    await expect(chat.messages.first()).not.toHaveAttribute("id", first);
    await expect(page.locator(`#${first}`)).toBeFocused();
    await page.keyboard.press("ArrowUp");
    await expect.poll(() => focused(page)).toBe(`m${Number(first.slice(1)) - 1}`);
  });
});

test.describe("forced colours", () => {
  test.use({ contextOptions: { forcedColors: "active" } });
  const style = (locator: Locator) =>
    locator.evaluate((element) => {
      const { backgroundColor, color, borderColor, appearance } = getComputedStyle(element);
      return { backgroundColor, color, borderColor, appearance };
    });

  test("show selected, checked and connected states", async ({ page, request }) => {
    const echo = await new EchoPage(page).open();
    await echo.revealLazyCards();
    const on = page.locator(".segmented-control button[aria-pressed=true]").first();
    const off = page.locator(".segmented-control button[aria-pressed=false]").first();
    expect((await style(on)).backgroundColor).not.toBe((await style(off)).backgroundColor);
    const rows = page.locator("#journal .virtual-list-row");
    await rows.nth(1).click();
    await expect(rows.nth(1)).toHaveAttribute("aria-selected", "true");
    expect((await style(rows.nth(1))).backgroundColor).not.toBe((await style(rows.nth(0))).backgroundColor);
    for (const box of await page.locator(".switch input").all()) expect((await style(box)).appearance).not.toBe("none");
    const dot = page.locator(".connection-state .dot");
    const open = await style(dot);
    await echo.disconnect(1000);
    await expect(page.locator(".connection-state")).toHaveAttribute("data-state", "closed");
    expect(await style(dot)).not.toEqual(open);

    const current = page.locator("nav a[aria-current]");
    const other = page.locator("nav a:not([aria-current])").first();
    expect((await style(current)).backgroundColor).not.toBe((await style(other)).backgroundColor);
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await chat.open();
    expect((await style(page.locator(".room-link[aria-current]"))).backgroundColor).not.toBe((await style(page.locator(".room-link:not([aria-current])").first())).backgroundColor);
  });
});

/** The contrast ratio of an element's computed colours (WCAG 2.2). */
async function contrast(locator: Locator): Promise<number> {
  return locator.evaluate((element) => {
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true })!;
    const luminance = (colour: string) => {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((part) => {
        const value = part / 255;
        return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
      }) as [number, number, number];
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const { color, backgroundColor } = getComputedStyle(element);
    const [dark, light] = [luminance(color), luminance(backgroundColor)].sort((a, b) => a - b) as [number, number];
    return (light + 0.05) / (dark + 0.05);
  });
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`a disabled button keeps its contrast under the pointer (${colorScheme})`, async ({ page }) => {
    await page.emulateMedia({ colorScheme });
    for (const path of ["/", "/compare", "/arena"]) {
      await page.goto(path);
      await page.waitForFunction(() => document.readyState === "complete");
      for (const button of await page.locator("button.button").filter({ visible: true }).all()) {
        await button.evaluate((button: HTMLButtonElement) => (button.disabled = true));
        await page.mouse.move(0, 0);
        const resting = await contrast(button);
        await button.hover({ force: true });
        expect(await contrast(button), `${path} ${await button.textContent()}`).toBeGreaterThanOrEqual(resting - 0.01);
        expect(resting).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
}
