// What is half-written: a message in each tab, and a message that is being changed.

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "@playwright/test";
import config from "./playwright.config.js";
import { ChatPage, Writer, makeRoom } from "./support/chat-page";
import { expect, test as base } from "./support/test";

const test = base.extend<{ chat: ChatPage }>({
  chat: async ({ page, request }, use) => {
    const chat = new ChatPage(page);
    await makeRoom(request, chat.room);
    await use(await chat.open());
  },
});

test("two tabs of a room have a draft each, which survives a reload", async ({ chat, page, context }) => {
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

test("the draft of a closed tab comes back in a new one, once", async ({ chat, page, context }) => {
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

test("so it does where a browser has no locks", async ({ chat, page, context }) => {
  // As where the page is not secure.
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

test("the draft of a tab that is slow to go comes back in the next one", async ({ chat, page, context }) => {
  // A busy machine tells a page late that it goes, or not at all.
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

test("the draft of a tab that crashed comes back in a new one", async ({ chat, page, context }) => {
  await chat.field.fill("죽은 탭의 글");
  const crashed = page.waitForEvent("crash");
  await page.goto("chrome://crash").catch(() => {});
  await crashed;
  const next = await new ChatPage(await context.newPage(), chat.room).open();
  await expect(next.field).toHaveValue("죽은 탭의 글");
});

test("the draft outlives a browser that crashed", async ({ baseURL, request }) => {
  const room = `room-${randomBytes(4).toString("hex")}`;
  await makeRoom(request, room);
  const profile = mkdtempSync(join(tmpdir(), "duplex-profile-"));
  const launch = () => chromium.launchPersistentContext(profile, { ...config.use!.launchOptions, locale: "ko-KR", baseURL });
  const text = "half-written before the crash";
  const before = await launch();
  const chat = await new ChatPage(await before.newPage(), room).open();
  await chat.field.pressSequentially(text);
  // Browsers write to the disk some seconds later.
  const folder = join(profile, "Default/Local Storage/leveldb");
  const isOnDisk = () => readdirSync(folder).some((file) => readFileSync(join(folder, file), "latin1").includes(text));
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

test("what was sent does not come back", async ({ chat, page }) => {
  await chat.say("보낸 말");
  await expect(chat.message("보낸 말")).toHaveCount(1);
  await page.reload();
  await chat.live();
  await expect(chat.field).toHaveValue("");
});

test("a half-written edit survives scrolling", async ({ chat, page, request }) => {
  test.slow();
  await chat.say("고칠 말");
  const own = chat.message("고칠 말");
  await expect(own).toHaveCount(1);
  const id = (await own.getAttribute("id"))!;
  await own.hover();
  await own.locator(".menu-button").click();
  await page.locator(`#${id} [data-act=edit]`).click();
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
  await expect(field, "its row is not in the document").toHaveCount(0);
  await expect(async () => {
    await log.evaluate((log) => (log.scrollTop = -log.scrollHeight));
    await expect(field).toHaveValue("반쯤 고친 말", { timeout: 500 });
  }).toPass({ timeout: 20_000 });
});

test("Escape in a composition belongs to the input method, in an edit and in a reply", async ({ chat, page, context }) => {
  await chat.say("답할 말");
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
  await page.locator(`#${id} [data-act=edit]`).click();
  const field = page.locator(`#${id} .edit-form textarea`);
  await expect(field).toBeFocused();
  await compose("반");
  await key("Escape", 27);
  await key("Escape", 229);
  await expect(field).toBeVisible();
  await cdp.send("Input.insertText", { text: "반" });
  await key("Escape", 229);
  await expect(field, "the composition is over before its key, as in Safari").toBeVisible();
  await field.press("Escape");
  await expect(field).toHaveCount(0);

  await own.hover();
  await own.locator(".menu-button").click();
  await page.locator(`#${id} [data-act=reply]`).click();
  await expect(chat.field).toBeFocused();
  await compose("반");
  await key("Escape", 27);
  await key("Escape", 229);
  await expect(page.locator(".replying")).toBeVisible();
  await cdp.send("Input.insertText", { text: "반" });
  await chat.field.press("Escape");
  await expect(page.locator(".replying")).toHaveCount(0);
});
