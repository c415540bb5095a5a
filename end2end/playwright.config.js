// The Playwright configuration. `cargo leptos end-to-end` starts a server at DUPLEX_URL; each further worker starts its own.

const { defineConfig, devices } = require("@playwright/test");
const { chromium } = require("../tools/chromium.cjs");

const asRoot = process.getuid?.() === 0;

module.exports = defineConfig({
  testDir: ".",
  testIgnore: "tally/**",
  globalSetup: "./global-setup.js",
  workers: Number(process.env.DUPLEX_WORKERS ?? 2),
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  reporter: "list",
  use: {
    ...devices["Desktop Chrome"],
    baseURL: process.env.DUPLEX_URL ?? "http://127.0.0.1:3000",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: chromium(),
      // Chromium's background requests are off, so that a test talks only to its server.
      args: [
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-quic",
        "--disable-sync",
        "--no-first-run",
        ...(asRoot ? ["--no-sandbox"] : []),
      ],
    },
  },
});
