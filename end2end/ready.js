// `cargo leptos end-to-end` starts the tests at the moment it starts the server: wait until that one answers.

const PATIENCE_MS = 20_000;

module.exports = async (config) => {
  const url = new URL("/readyz", config.projects[0].use.baseURL);
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const answer = await fetch(url).catch((error) => error);
    if (answer.ok) return;
    if (Date.now() > deadline) throw new Error(`${url} did not get ready: ${answer.status ?? answer.cause ?? answer}`);
    await new Promise((again) => setTimeout(again, 50));
  }
};
