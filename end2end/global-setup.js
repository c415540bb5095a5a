// Waits until the server is ready: `cargo leptos end-to-end` starts the tests at the same time as the server.

const TIMEOUT_MS = 20_000;

module.exports = async (config) => {
  const url = new URL("/readyz", config.projects[0].use.baseURL);
  const deadline = Date.now() + TIMEOUT_MS;
  for (;;) {
    const response = await fetch(url).catch((error) => error);
    if (response.ok) return;
    if (Date.now() > deadline) throw new Error(`${url} did not become ready: ${response.status ?? response.cause ?? response}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
};
