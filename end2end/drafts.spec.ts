// Drafts: unsent messages of each tab, and unfinished edits.

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "@playwright/test";
import config from "./playwright.config.js";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { expect, test as base } from "./support/test";

const test = base.extend<{ chat: ChatPage }>({
  chat: async ({ page, request }, use) => {
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await use(await chat.open());
  },
});

test("each tab of a room has its own draft, which survives a reload", async ({ chat, page, context }) => {
  await chat.field.fill("첫째 탭");
  const second = new ChatPage(await context.newPage(), chat.room);
  await second.open();
  await expect(second.field).toHaveValue("");
  await second.field.fill("둘째 탭");
  for (const tab of [chat, second]) await tab.page.reload();
  await expect(chat.field).toHaveValue("첫째 탭");
  await expect(second.field).toHaveValue("둘째 탭");
  await page.goto("/about");
  await page.goto(`/chat/${chat.room}`);
  await expect(chat.field).toHaveValue("첫째 탭");
});

test("the draft of a closed tab is restored in a new one, once", async ({ chat, page, context }) => {
  await chat.field.fill("닫힌 탭의 글");
  await page.goto("about:blank");
  await page.close();
  const next = new ChatPage(await context.newPage(), chat.room);
  await next.open();
  await expect(next.field).toHaveValue("닫힌 탭의 글");
  const other = new ChatPage(await context.newPage(), chat.room);
  await other.open();
  await expect(other.field).toHaveValue("");
});

test("the draft is restored without the Web Locks API", async ({ chat, page, context }) => {
  // Insecure contexts have no locks.
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "locks", { get: () => undefined }));
  await chat.open();
  await chat.field.fill("잠금 없는 글");
  const second = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(second.field).toHaveValue("");
  await page.goto("/about");
  await expect.poll(() => page.evaluate((room) => Object.keys(localStorage).filter((key) => key.startsWith(`chat.draft.${room}.`)).length, chat.room)).toBe(1);
  await page.close();
  const next = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(next.field).toHaveValue("잠금 없는 글");
  const other = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(other.field).toHaveValue("");
});

test("the draft of a tab that is slow to close is restored in the next one", async ({ chat, page, context }) => {
  // On a busy machine pagehide fires late, or not at all.
  await page.addInitScript(() => {
    addEventListener("pagehide", () => {
      const until = performance.now() + 3_000;
      while (performance.now() < until);
    });
  });
  await chat.open();
  await chat.field.fill("느린 탭의 글");
  await page.goto("about:blank");
  await page.close();
  const next = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(next.field).toHaveValue("느린 탭의 글");
});

test("the draft of a crashed tab is restored in a new one", async ({ chat, page, context }) => {
  await chat.field.fill("죽은 탭의 글");
  const crashed = page.waitForEvent("crash");
  await page.goto("chrome://crash").catch(() => {});
  await crashed;
  const next = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(next.field).toHaveValue("죽은 탭의 글");
});

test("the draft survives a browser crash", async ({ baseURL, request }) => {
  const room = `room-${randomBytes(4).toString("hex")}`;
  await createRoom(request, room);
  const profile = mkdtempSync(join(tmpdir(), "duplex-profile-"));
  const launch = () => chromium.launchPersistentContext(profile, { ...config.use!.launchOptions, locale: "ko-KR", baseURL });
  const text = "half-written before the crash";
  const before = await launch();
  const chat = await new ChatPage(await before.newPage(), room).open();
  await chat.field.pressSequentially(text);
  // Browsers write local storage to disk after some seconds.
  const dir = join(profile, "Default/Local Storage/leveldb");
  const isOnDisk = () => readdirSync(dir).some((file) => readFileSync(join(dir, file), "latin1").includes(text));
  await expect.poll(isOnDisk, { timeout: 30_000 }).toBe(true);
  const closed = before.waitForEvent("close");
  const cdp = await before.newCDPSession(chat.page);
  await cdp.send("Browser.crash").catch(() => {});
  await closed;

  const after = await launch();
  const next = await new ChatPage(await after.newPage(), room).open();
  await expect(next.field).toHaveValue(text);
  await after.close();
  rmSync(profile, { recursive: true, force: true });
});

test("a sent message is not restored as a draft", async ({ chat, page }) => {
  await chat.send("보낸 말");
  await expect(chat.message("보낸 말")).toHaveCount(1);
  await page.reload();
  await chat.expectLive();
  await expect(chat.field).toHaveValue("");
});

test("an unfinished edit survives scrolling", async ({ chat, page, request }) => {
  test.slow();
  await chat.send("고칠 말");
  const own = chat.message("고칠 말");
  await expect(own).toHaveCount(1);
  const id = (await own.getAttribute("id"))!;
  await own.hover();
  await own.locator(".menu-button").click();
  await page.locator(`#${id} [data-action=edit]`).click();
  const field = page.locator(`#${id} .edit-form textarea`);
  await expect(field).toBeFocused();
  await field.fill("반쯤 고친 말");
  await field.blur();
  for (let number = 0; number < 320; number++) {
    await new Writer(request).post(chat.room, `줄 ${number}.`);
  }
  await expect(chat.message("줄 319.")).toHaveCount(1);
  const log = page.getByRole("log");
  await log.evaluate((log) => (log.scrollTop = 0));
  await expect(field, "the row is not in the document").toHaveCount(0);
  await expect(async () => {
    await log.evaluate((log) => (log.scrollTop = -log.scrollHeight));
    await expect(field).toHaveValue("반쯤 고친 말", { timeout: 500 });
  }).toPass({ timeout: 20_000 });
});

test("Escape during a composition is left to the input method, in an edit and in a reply", async ({ chat, page, context }) => {
  await chat.send("답할 말");
  const own = chat.message("답할 말");
  await expect(own).toHaveCount(1);
  const id = (await own.getAttribute("id"))!;
  const cdp = await context.newCDPSession(page);
  const key = async (name: string, windowsVirtualKeyCode: number) => {
    for (const type of ["rawKeyDown", "keyUp"] as const) await cdp.send("Input.dispatchKeyEvent", { type, key: name, code: name, windowsVirtualKeyCode });
  };
  const compose = (text: string) => cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });

  await own.hover();
  await own.locator(".menu-button").click();
  await page.locator(`#${id} [data-action=edit]`).click();
  const field = page.locator(`#${id} .edit-form textarea`);
  await expect(field).toBeFocused();
  await compose("반");
  await key("Escape", 27);
  await key("Escape", 229);
  await expect(field).toBeVisible();
  await cdp.send("Input.insertText", { text: "반" });
  await key("Escape", 229);
  await expect(field, "compositionend precedes the keydown, as in Safari").toBeVisible();
  await field.press("Escape");
  await expect(field).toHaveCount(0);

  await own.hover();
  await own.locator(".menu-button").click();
  await page.locator(`#${id} [data-action=reply]`).click();
  await expect(chat.field).toBeFocused();
  await compose("반");
  await key("Escape", 27);
  await key("Escape", 229);
  await expect(page.locator(".replying")).toBeVisible();
  await cdp.send("Input.insertText", { text: "반" });
  await chat.field.press("Escape");
  await expect(page.locator(".replying")).toHaveCount(0);
});
