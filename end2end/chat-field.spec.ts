// The chat's composer and message list: length and rate limits, unread markers, pending messages.

import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { expect, test as base } from "./support/test";
import { fill, ko } from "./support/texts";

const MAX_TEXT = 4000;

const test = base.extend<{ chat: ChatPage }>({
  chat: async ({ page, request }, use) => {
    const chat = new ChatPage(page);
    await createRoom(request, chat.room);
    await use(await chat.open());
  },
});

/** Simulates hiding the tab or showing it again. */
const hide = (chat: ChatPage, hidden: boolean) =>
  chat.page.evaluate((hidden) => {
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (hidden ? "hidden" : "visible") });
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, hidden);

test("messages received in a hidden tab are counted in the title and marked on return", async ({ chat, page, request }) => {
  await chat.send("여기까지 봤어요");
  await expect(chat.message("여기까지 봤어요")).toBeVisible();
  const title = await page.title();
  await hide(chat, true);
  const writer = new Writer(request);
  for (const text of ["하나", "둘", "셋"]) await writer.post(chat.room, text);
  await expect.poll(() => page.title()).toBe(`(3) ${title}`);
  await hide(chat, false);
  await expect.poll(() => page.title()).toBe(title);
  await expect(page.getByText(ko.chat.new_here)).toBeVisible();
  const after = await page.getByText(ko.chat.new_here).evaluate((line) => {
    const rows = [...document.querySelectorAll("article.message")];
    return rows.find((row) => line.compareDocumentPosition(row) & Node.DOCUMENT_POSITION_FOLLOWING)?.textContent;
  });
  expect(after).toContain("하나");
});

test("a reader who has scrolled up stays there and sees the number of new messages", async ({ chat, page, request }) => {
  for (let writer = new Writer(request), number = 0; number < 40; number++) {
    if (number % 10 === 0) writer = new Writer(request);
    await writer.post(chat.room, `줄 ${number}.`);
  }
  await expect(chat.message("줄 39.")).toBeVisible();
  const log = page.getByRole("log");
  await log.hover();
  await page.mouse.wheel(0, -600);
  const button = page.getByRole("button", { name: fill(ko.chat.new_below, { count: 2 }) });
  const top = () => chat.message("줄 20.").evaluate((row) => Math.round(row.getBoundingClientRect().top));
  await expect(chat.message("줄 39.")).not.toBeInViewport();
  const before = await top();
  const writer = new Writer(request);
  await writer.post(chat.room, "아래 하나");
  await writer.post(chat.room, "아래 둘");
  await expect(button).toBeVisible();
  expect(Math.abs((await top()) - before)).toBeLessThanOrEqual(1);
  await button.click();
  await expect(chat.message("아래 둘")).toBeInViewport();
});

test("a rate-limited message waits and is sent automatically, once", async ({ chat }) => {
  for (let number = 0; number < 10; number++) await chat.send(`빨리 ${number}`);
  await chat.send("너무 빨리");
  // The server's answers to the ten may still be on their way.
  await expect(chat.pending).toHaveCount(1, { timeout: 30_000 });
  await expect(chat.pending).toContainText("너무 빨리");
  await expect(chat.pending).toHaveAttribute("data-status", "held");
  await expect(chat.pending.locator(".command-status")).toHaveText(/\d+초 뒤에 저절로 보냅니다/);
  await expect(chat.messages).toHaveCount(10);
  await expect(chat.message("너무 빨리")).toHaveCount(1, { timeout: 20_000 });
  await expect(chat.pending).toHaveCount(0);
  await expect(chat.messages).toHaveCount(11);
});

test("messages written during an outage are rate-limited and arrive in order", async ({ chat, context, consoleErrors }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  await context.setOffline(true);
  const texts = Array.from({ length: 24 }, (_, number) => `말 ${number}`);
  for (const text of texts) await chat.send(text);
  await expect(chat.pending).toHaveCount(texts.length);
  await context.setOffline(false);
  await expect(chat.pending.first()).toHaveAttribute("data-status", "held", { timeout: 30_000 });
  await expect(chat.messages).toHaveCount(texts.length, { timeout: 60_000 });
  await expect(chat.pending).toHaveCount(0);
  expect(await chat.texts()).toEqual(texts);
});

test("pasting a text that is too long is rejected, and the typed text stays", async ({ chat, page }) => {
  await chat.field.fill("앞");
  await page.evaluate((length) => {
    const field = document.querySelector<HTMLTextAreaElement>("#message-field")!;
    field.focus();
    document.execCommand("insertText", false, "가".repeat(length));
  }, MAX_TEXT);
  await expect(page.locator(".composer .problem")).toContainText(fill(ko.chat.pasted_too_long, { count: "4,000", limit: "4,000" }));
  await expect(chat.field).toHaveValue("앞");
  await page.evaluate((length) => document.execCommand("insertText", false, "가".repeat(length)), MAX_TEXT - 1);
  await expect(page.locator(".counter")).toHaveText("4,000 / 4,000");
  await chat.field.press("Enter");
  await expect(chat.messages).toHaveCount(1);
});

test("Enter during a composition ends the composition, the next Enter sends", async ({ chat, page, context }) => {
  const cdp = await context.newCDPSession(page);
  const enter = async (keyCode: number) => {
    const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: keyCode };
    await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...key });
    await cdp.send("Input.dispatchKeyEvent", { type: "keyUp", ...key });
  };
  await chat.field.focus();
  for (const text of ["ㅂ", "반"]) {
    await cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });
  }
  await enter(229);
  await enter(13);
  await cdp.send("Input.insertText", { text: "반가" });
  await expect(chat.field).toHaveValue("반가");
  await expect(chat.messages).toHaveCount(0);
  await chat.field.press("Shift+Enter");
  await chat.field.pressSequentially("워요");
  await chat.field.press("Enter");
  await expect(chat.messages).toHaveCount(1);
  expect(await chat.texts()).toEqual(["반가\n워요"]);
});

test("a page with pending commands asks before it is left", async ({ chat, page, context, consoleErrors }) => {
  consoleErrors.allow(/ERR_INTERNET_DISCONNECTED/, /WebSocket/, /leptos_ws/);
  const dialogs: string[] = [];
  page.on("dialog", async (dialog) => {
    dialogs.push(dialog.type());
    await dialog.dismiss();
  });
  await context.setOffline(true);
  await chat.send("아직 못 보낸 말");
  await expect(chat.pending).toHaveCount(1);
  await page.evaluate(() => location.assign("/about"));
  await expect.poll(() => dialogs).toEqual(["beforeunload"]);
  await expect(chat.pending).toContainText("아직 못 보낸 말");
  await context.setOffline(false);
  await expect(chat.pending).toHaveCount(0, { timeout: 30_000 });
  await expect(chat.message("아직 못 보낸 말")).toHaveCount(1);
  await page.goto("/about");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  expect(dialogs).toEqual(["beforeunload"]);
});
