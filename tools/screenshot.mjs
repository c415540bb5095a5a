// The README's picture: `node tools/screenshot.mjs URL` opens the echo page, talks a little, and writes it down.

import { createRequire } from "node:module";

const require = createRequire(new URL("../end2end/", import.meta.url));
const { chromium: driver } = require("@playwright/test");
const { chromium } = createRequire(import.meta.url)("./chromium.cjs");

const [url = "http://127.0.0.1:3000"] = process.argv.slice(2);
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await driver.launch({ executablePath: chromium(), args });
const page = await browser.newPage({ viewport: { width: 1280, height: 1080 }, locale: "en" });
await page.goto(url);
const message = page.locator("textarea[name=message]");
const received = page.locator('[data-kind="received"]');
await received.first().waitFor();
for (const text of ["Hello!", '{"price":71.25,"symbol":"DUPLEX"}', "반갑습니다", ...Array.from({ length: 9 }, (_, n) => `message ${n + 1}`)]) {
  const before = await received.count();
  await message.fill(text);
  await message.press("Enter");
  await received.nth(before).waitFor();
}
await received.nth(2).click();
await page.screenshot({ path: new URL("../docs/screenshot.png", import.meta.url).pathname });
await browser.close();
