// Without JavaScript: content, the echo over HTTP, forms, language and colour settings.

import type { Locator, Page } from "@playwright/test";
import { expect, test } from "./support/test";
import { GREETING, REPLY_PREFIX, en, ko } from "./support/texts";

test.use({ javaScriptEnabled: false });

// Chromium preloads the page's module even with scripts disabled.
test.beforeEach(({ consoleErrors }) => consoleErrors.allow(/was preloaded using link preload but not used/));

function form(page: Page): { message: Locator; send: Locator; reply: Locator } {
  const card = page.getByRole("region", { name: ko.echo.http, exact: true });
  return {
    message: card.getByLabel(ko.echo.message, { exact: true }),
    send: card.getByRole("button", { name: ko.echo.send, exact: true }),
    reply: card.locator('[data-key="reply"]'),
  };
}

test("the page shows its content and a notice that scripts are off", async ({ page }) => {
  await page.goto("/");
  await expect(page.getByRole("heading", { level: 1, name: "WebSocket 테스트" })).toBeVisible();
  await expect(page.getByText(ko.echo.lede)).toBeVisible();
  const notice = page.locator("noscript");
  await expect(notice).toBeVisible();
  await expect(notice).toHaveText(ko.echo.no_script, { useInnerText: true });
});

test("the form posts to the same echo and shows the reply", async ({ page }) => {
  await page.goto("/");
  const { message, send, reply } = form(page);
  await expect(reply).toHaveCount(0);
  await expect(message).toHaveValue(GREETING);
  await message.fill("HTTP로 간 말");
  await send.click();
  await expect(reply).toHaveText(`${REPLY_PREFIX}HTTP로 간 말`);
  await message.fill("또 한 번");
  await message.press("Enter");
  await expect(reply).toHaveText(`${REPLY_PREFIX}또 한 번`);
});

test("posted markup is shown as text", async ({ page }) => {
  await page.goto("/");
  const { message, send, reply } = form(page);
  const markup = `<img src=x onerror=alert(1)></dd><script>alert(2)</script> & "'`;
  await message.fill(markup);
  await send.click();
  await expect(reply).toHaveText(REPLY_PREFIX + markup);
  await expect(page.getByRole("region", { name: ko.echo.http }).locator("img, script")).toHaveCount(0);
});

test("the language is set by a form and remembered", async ({ page }) => {
  await page.goto("/about");
  await expect(page.locator("html")).toHaveAttribute("lang", "ko");
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page).toHaveURL("/about");
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await page.goto("/");
  await expect(page.getByText(en.echo.lede)).toBeVisible();
  await page.getByRole("button", { name: "한국어", exact: true }).click();
  await expect(page.getByText(ko.echo.lede)).toBeVisible();
});

test("the colour scheme is set by a form and remembered", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.goto("/");
  const background = () => page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: ko.app.colour_dark, exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await expect(page.getByRole("button", { name: ko.app.colour_dark, exact: true })).toHaveAttribute("aria-pressed", "true");
  expect(await background()).not.toBe(light);
  await page.goto("/about");
  await expect(page.locator("html")).toHaveAttribute("data-theme", "dark");
  await page.getByRole("button", { name: ko.app.colour_auto, exact: true }).click();
  await expect(page.locator("html")).not.toHaveAttribute("data-theme");
  expect(await background()).toBe(light);
});

test("links navigate between pages", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("navigation").getByRole("link", { name: ko.app.about, exact: true }).click();
  await expect(page).toHaveURL("/about");
  await page.getByRole("link", { name: ko.about.go, exact: true }).click();
  await expect(page).toHaveURL("/");
});

test("a rejected form keeps its input and shows the reason", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/status of 422/);
  await page.goto("/chat/lobby");
  await page.locator(".composer input[name=name]").fill("돌아온 이름");
  await page.locator("#message-field").fill("   ");
  await page.locator(".composer button[type=submit]").click();
  await expect(page.locator(".composer [role=alert]")).not.toBeEmpty();
  await expect(page.locator(".composer input[name=name]")).toHaveValue("돌아온 이름");

  await page.goto("/devices");
  await page.locator('.device[data-device^="host-"] a').click();
  await expect(page.locator("input[name=order]")).toHaveValue("identify");
  await page.locator("input[name=order]").fill("없는 명령");
  await page.locator("input[name=argument]").fill('{"seconds": 7}');
  await page.locator(".order-form button[type=submit]").click();
  await expect(page.locator(".devices-problem")).not.toBeEmpty();
  await expect(page.locator("input[name=order]")).toHaveValue("없는 명령");
  await expect(page.locator("input[name=argument]")).toHaveValue('{"seconds": 7}');

  const metric = page.locator("select[name=metric]");
  await metric.selectOption("memory");
  await page.locator("input[name=low]").fill("40");
  await page.locator("input[name=high]").fill("30");
  await page.locator(".threshold button[type=submit]").click();
  await expect(page.locator(".devices-problem")).toHaveText(ko.devices.bad_threshold);
  await expect(metric).toHaveValue("memory");
  await expect(page.locator("input[name=low]")).toHaveValue("40");
  await expect(page.locator("input[name=high]")).toHaveValue("30");
  await expect(page.locator("input[name=order]"), "the other form keeps its default").toHaveValue("identify");
});

for (const path of ["/", "/chat", "/market", "/devices", "/notifications", "/status"]) {
  test(`${path} hides controls that need scripts`, async ({ page }) => {
    await page.goto(path);
    expect(await page.locator(".script-only").count()).toBeGreaterThan(0);
    await expect(page.locator(".script-only").filter({ visible: true })).toHaveCount(0);
  });
}
