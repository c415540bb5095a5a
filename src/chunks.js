{
  const FRESH_MS = 10_000, MAX_PAUSE_MS = 8_000, originalFetch = window.fetch;
  const isChunk = (input) => /\/(chunk|split)_[^/]*\.wasm$/.test(new URL(input.url ?? input, location).pathname);
  const load = async (input, init) => {
    const response = await originalFetch(input, init);
    if (response.status === 404 && performance.now() > FRESH_MS) location.reload();
    if (!response.ok) throw new Error(response.status);
    return new Response(await response.arrayBuffer(), { headers: response.headers });
  };
  window.fetch = async (input, init) => {
    if (!isChunk(input)) return originalFetch(input, init);
    for (let pause = 250; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        return await load(input, init);
      } catch {
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  };
}
