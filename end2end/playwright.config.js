// One server for all specs, started by `cargo leptos end-to-end`; DUPLEX_URL says where it listens.

const { defineConfig, devices } = require("@playwright/test");
const { chromium } = require("../tools/chromium.cjs");

const asRoot = process.getuid?.() === 0;

module.exports = defineConfig({
  testDir: ".",
  testIgnore: "tally/**",
  globalSetup: "./ready.js",
  // The vitals strip counts the connections of the whole server, and some specs compare them.
  workers: 1,
  retries: 0,
  forbidOnly: Boolean(process.env.CI),
  reporter: "list",
  use: {
    ...devices["Desktop Chrome"],
    baseURL: process.env.DUPLEX_URL ?? "http://127.0.0.1:3000",
    screenshot: "only-on-failure",
    launchOptions: {
      executablePath: chromium(),
      // Without Chromium's own errands: a test talks to its server and to nobody else.
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
