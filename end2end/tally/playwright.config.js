// The tests of examples/tally, which start its server by themselves.

const { defineConfig } = require("@playwright/test");
const app = require("../playwright.config.js");

module.exports = defineConfig({ ...app, testIgnore: [], globalSetup: undefined });
