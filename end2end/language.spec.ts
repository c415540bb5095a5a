// Korean and English: what the browser asks for first, then what the visitor chose.

import { EchoPage } from "./support/echo-page";
import { expect, test } from "./support/test";
import { en, ko, texts, type Language } from "./support/texts";

const LOCALES: Record<Language, string> = { ko: "ko-KR", en: "en-US" };

for (const language of ["ko", "en"] as const) {
  test.describe(`a browser in ${language}`, () => {
    test.use({ locale: LOCALES[language] });

    test("gets its language, from the server on", async ({ page }) => {
      const words = texts[language];
      const response = await page.goto("/");
      const html = await response!.text();
      expect(html).toContain(`<html lang="${language}"`);
      expect(html).toContain(words.echo.state_connecting);
      const echo = new EchoPage(page, words);
      await echo.is("open");
      await expect(page.locator("html")).toHaveAttribute("lang", language);
      await expect(page.getByText(words.echo.lede)).toBeVisible();
      await expect(page).toHaveTitle(`${words.echo.title} · Duplex`);
      await expect(page.getByRole("heading", { level: 1, name: words.echo.title })).toBeVisible();
      await echo.go("about");
      await expect(page.getByRole("heading", { level: 1, name: words.about.title })).toBeVisible();
      await expect(page).toHaveTitle(`${words.about.title} · Duplex`);
    });
  });
}

for (const [asked, language] of [
  ["fr,en;q=0.8,ko;q=0.3", "en"],
  ["fr, en;q=0.8, ko;q=0.3", "en"],
  ["en;q=0.2, ko;q=0.9", "ko"],
  ["en-GB", "en"],
  ["ko", "ko"],
  ["fr", "en"],
  ["*", "ko"],
  ["de-DE,de;q=0.9,*;q=0.5", "en"],
] as const) {
  test(`Accept-Language: ${asked} gets ${language}`, async ({ request }) => {
    const response = await request.get("/about", { headers: { "accept-language": asked } });
    const html = await response.text();
    expect(html).toContain(`<html lang="${language}"`);
    expect(html).toContain(texts[language].about.title);
  });
}

test("a choice changes the page at once, and is kept on every page", async ({ page }) => {
  const echo = await new EchoPage(page).open();
  await page.getByRole("button", { name: "English", exact: true }).click();
  await expect(page.locator("html")).toHaveAttribute("lang", "en");
  const english = new EchoPage(page, en);
  await expect(page.getByText(en.echo.lede)).toBeVisible();
  await expect(english.card("journal")).toBeVisible();
  await expect(english.rows.filter({ hasText: en.echo.kind_received })).toHaveCount(1);
  await expect(page.getByText(ko.echo.lede)).toHaveCount(0);
  // The same socket: to choose a language is not to leave.
  await expect(echo.page.locator('[data-kind="open"]')).toHaveCount(1);

  const reloaded = await page.reload();
  expect(await reloaded!.text()).toContain('<html lang="en"');
  await english.is("open");
  await english.go("about");
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await page.goto("/about");
  await expect(page.getByRole("heading", { level: 1, name: en.about.title })).toBeVisible();
  await expect(page.getByRole("button", { name: "English" })).toHaveAttribute("aria-pressed", "true");

  await page.getByRole("button", { name: "한국어" }).click();
  await expect(page.locator("html")).toHaveAttribute("lang", "ko");
  await expect(page.getByRole("heading", { level: 1, name: ko.about.title })).toBeVisible();
});

test("a page that is not there says so in both languages", async ({ request }) => {
  for (const language of ["ko", "en"] as const) {
    const response = await request.get("/no/such/page", { headers: { accept: "text/html", "accept-language": language } });
    expect(response.status()).toBe(404);
    expect(await response.text()).toContain(texts[language].app.not_found);
  }
});
