{
  const FRESH_MS = 10_000, MAX_PAUSE_MS = 8_000, base = window.fetch;
  const isPart = (input) => /\/(chunk|split)_[^/]*\.wasm$/.test(new URL(input.url ?? input, location).pathname);
  const load = async (input, init) => {
    const reply = await base(input, init);
    if (reply.status === 404 && performance.now() > FRESH_MS) location.reload();
    if (!reply.ok) throw new Error(reply.status);
    return new Response(await reply.arrayBuffer(), { headers: reply.headers });
  };
  window.fetch = async (input, init) => {
    if (!isPart(input)) return base(input, init);
    for (let pause = 250; ; pause = Math.min(2 * pause, MAX_PAUSE_MS)) {
      try {
        return await load(input, init);
      } catch {
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  };
}
