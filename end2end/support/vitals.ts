// The strip of vital signs at the page's end.

import { expect, type Page } from "@playwright/test";

/** It goes live when it is seen; what comes to life above it may push it out of view again. */
export async function seeVitalsLive(page: Page, timeout = 30_000): Promise<void> {
  const strip = page.locator("aside.vitals");
  await expect(async () => {
    await strip.scrollIntoViewIfNeeded();
    await expect(strip).toHaveAttribute("data-liveness", "live", { timeout: 1000 });
  }).toPass({ timeout });
}
