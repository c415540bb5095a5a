// A page restored from the back/forward cache resumes and catches up on missed events.

import { chromium } from "@playwright/test";
import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { expect, test } from "./support/test";
import config from "./playwright.config.js";

test("going back restores the page, and missed messages arrive once", async ({ baseURL, request }) => {
  // Playwright disables the cache by default.
  const browser = await chromium.launch({
    ...config.use!.launchOptions,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  const context = await browser.newContext({ locale: "ko-KR", baseURL });
  const chat = new ChatPage(await context.newPage());
  const { page } = chat;
  await createRoom(request, chat.room);
  await chat.open();
  await chat.send("떠나기 전");
  await expect(chat.message("떠나기 전")).toHaveCount(1);
  await page.evaluate(() => {
    const observed = { restored: false };
    Object.assign(window, { observed });
    addEventListener("pageshow", (event) => (observed.restored = event.persisted));
  });
  await page.goto(`${baseURL}/healthz`);
  await new Writer(request).post(chat.room, "없는 동안");
  await page.goBack({ waitUntil: "commit" });
  const restored = () => page.evaluate(() => (window as unknown as { observed?: { restored: boolean } }).observed?.restored);
  await expect.poll(restored, "the page came from the back/forward cache").toBe(true);
  await chat.expectLive();
  await expect(chat.message("없는 동안")).toHaveCount(1);
  expect(await chat.texts()).toEqual(["떠나기 전", "없는 동안"]);
  await chat.send("돌아와서");
  await expect(chat.message("돌아와서")).toHaveCount(1);
  await browser.close();
});
