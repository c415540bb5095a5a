// Takes the README's screenshot: `node tools/screenshot.mjs URL` opens the echo page, sends some messages and saves docs/screenshot.png.

import { createRequire } from "node:module";

const require = createRequire(new URL("../end2end/", import.meta.url));
const { chromium: driver } = require("@playwright/test");
const { chromium } = createRequire(import.meta.url)("./chromium.cjs");

const [url = "http://127.0.0.1:3000"] = process.argv.slice(2);
const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
const browser = await driver.launch({ executablePath: chromium(), args });
const page = await browser.newPage({ viewport: { width: 1280, height: 1240 }, locale: "en" });
await page.goto(url);
const message = page.locator("textarea[name=message]");
const count = page.locator('[data-key="count"]');
const numbered = Array.from({ length: 9 }, (_, index) => `message ${index + 1}`);
const messages = ["Hello!", '{"price":71.25,"symbol":"DUPLEX"}', "반갑습니다", ...numbered];
for (const card of ["journal", "round-trip"]) await page.locator(`#${card}`).scrollIntoViewIfNeeded(); // loaded when they become visible
await count.getByText("1", { exact: true }).waitFor(); // the greeting
for (const [index, text] of messages.entries()) {
  await message.fill(text);
  await message.press("Enter");
  await count.getByText(String(index + 2), { exact: true }).waitFor();
}
await page.getByRole("option").filter({ hasText: "DUPLEX" }).last().click();
await page.evaluate(() => scrollTo(0, 0));
await page.screenshot({ path: new URL("../docs/screenshot.png", import.meta.url).pathname });
await browser.close();
