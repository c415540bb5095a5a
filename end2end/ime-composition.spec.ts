// Input method compositions, as used for Korean: the Enter that ends one must not send.

import type { CDPSession } from "@playwright/test";
import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { REPLY_PREFIX } from "./support/texts";

/** A keydown event, as the page's handler receives it. */
interface Key {
  key: string;
  keyCode: number;
  isComposing: boolean;
}

declare global {
  interface Window {
    keys: Key[];
  }
}

/** The key code of a key that an input method handles. */
const PROCESSED_BY_IME = 229;
const ENTER = 13;

let echo: EchoPage;
let cdp: CDPSession;

const compose = (text: string) =>
  cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });

/** Dispatches Enter's keydown without a character, as an input method does. */
async function enter(keyCode: number): Promise<void> {
  const key = { key: "Enter", code: "Enter", windowsVirtualKeyCode: keyCode };
  await cdp.send("Input.dispatchKeyEvent", { type: "rawKeyDown", ...key });
  await cdp.send("Input.dispatchKeyEvent", { type: "keyUp", ...key });
}

test.beforeEach(async ({ page, context }) => {
  echo = await new EchoPage(page).open();
  cdp = await context.newCDPSession(page);
  await echo.message.focus();
  await page.evaluate(() => {
    window.keys = [];
    const record = ({ key, keyCode, isComposing }: KeyboardEvent) => window.keys.push({ key, keyCode, isComposing });
    document.addEventListener("keydown", record, { capture: true });
  });
});

for (const keyCode of [PROCESSED_BY_IME, ENTER]) {
  test(`Enter during a composition does not send (key code ${keyCode})`, async ({ page }) => {
    await compose("ㅂ");
    await compose("반");
    await enter(keyCode);
    expect(await page.evaluate(() => window.keys)).toEqual([{ key: "Enter", keyCode, isComposing: true }]);
    await cdp.send("Input.insertText", { text: "반가" });
    await expect(echo.message).toHaveValue("반가");
    await expect(echo.row("sent")).toHaveCount(1);

    await echo.message.press("Enter");
    await expect(echo.row("received", `${REPLY_PREFIX}반가`)).toHaveCount(1);
    await expect(echo.row("sent")).toHaveCount(2);
    await expect(echo.message).toHaveValue("");
  });
}

test("Enter does not send if compositionend precedes its keydown, as in Safari", async ({ page }) => {
  await compose("반");
  await cdp.send("Input.insertText", { text: "반" });
  await enter(PROCESSED_BY_IME);
  expect(await page.evaluate(() => window.keys)).toEqual([{ key: "Enter", keyCode: PROCESSED_BY_IME, isComposing: false }]);
  await expect(echo.message).toHaveValue("반");
  await echo.message.press("Enter");
  await expect(echo.row("received", `${REPLY_PREFIX}반`)).toHaveCount(1);
  await expect(echo.row("sent")).toHaveCount(2);
});
