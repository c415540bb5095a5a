// A page that was put aside whole (the back/forward cache) goes on where it was, with what happened meanwhile.

import { chromium } from "@playwright/test";
import { ChatPage, Writer, makeRoom } from "./support/chat-page";
import { expect, test } from "./support/test";
import config from "./playwright.config.js";

test("going back shows the page as it was, and then what it missed, once", async ({ baseURL, request }) => {
  // Playwright turns the cache off.
  const browser = await chromium.launch({
    ...config.use!.launchOptions,
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });
  const context = await browser.newContext({ locale: "ko-KR", baseURL });
  const chat = new ChatPage(await context.newPage());
  const { page } = chat;
  await makeRoom(request, chat.room);
  await chat.open();
  await chat.say("떠나기 전");
  await expect(chat.message("떠나기 전")).toHaveCount(1);
  await page.evaluate(() => {
    const seen = { thawed: false };
    Object.assign(window, { seen });
    addEventListener("pageshow", (event) => (seen.thawed = event.persisted));
  });
  await page.goto(`${baseURL}/healthz`);
  await new Writer(request).post(chat.room, "없는 동안");
  await page.goBack({ waitUntil: "commit" });
  const thawed = () => page.evaluate(() => (window as unknown as { seen?: { thawed: boolean } }).seen?.thawed);
  await expect.poll(thawed, "the page came from the back/forward cache").toBe(true);
  await chat.live();
  await expect(chat.message("없는 동안")).toHaveCount(1);
  expect(await chat.texts()).toEqual(["떠나기 전", "없는 동안"]);
  await chat.say("돌아와서");
  await expect(chat.message("돌아와서")).toHaveCount(1);
  await browser.close();
});
