// Korean is typed in compositions: the Enter that ends one must not send.

import type { CDPSession } from "@playwright/test";
import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { REPLY_PREFIX } from "./support/texts";

/** What the page's own handler is about to see. */
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

/** As browsers report a key that an input method took. */
const TAKEN_BY_INPUT_METHOD = 229;
const ENTER = 13;

let echo: EchoPage;
let cdp: CDPSession;

const compose = (text: string) =>
  cdp.send("Input.imeSetComposition", { text, selectionStart: text.length, selectionEnd: text.length });

/** Enter's keydown without the character, as when an input method takes it. */
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
    const note = ({ key, keyCode, isComposing }: KeyboardEvent) => window.keys.push({ key, keyCode, isComposing });
    document.addEventListener("keydown", note, { capture: true });
  });
});

for (const keyCode of [TAKEN_BY_INPUT_METHOD, ENTER]) {
  test(`Enter in a composition does not send (key code ${keyCode})`, async ({ page }) => {
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

test("Enter that ended a composition does not send where the composition is over before it, as in Safari", async ({ page }) => {
  await compose("반");
  await cdp.send("Input.insertText", { text: "반" });
  await enter(TAKEN_BY_INPUT_METHOD);
  expect(await page.evaluate(() => window.keys)).toEqual([{ key: "Enter", keyCode: TAKEN_BY_INPUT_METHOD, isComposing: false }]);
  await expect(echo.message).toHaveValue("반");
  await echo.message.press("Enter");
  await expect(echo.row("received", `${REPLY_PREFIX}반`)).toHaveCount(1);
  await expect(echo.row("sent")).toHaveCount(2);
});
