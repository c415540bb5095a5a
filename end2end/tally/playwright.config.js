// The Playwright configuration of examples/tally, whose tests start their own server.

const { defineConfig } = require("@playwright/test");
const app = require("../playwright.config.js");

module.exports = defineConfig({ ...app, testIgnore: [], globalSetup: undefined });
