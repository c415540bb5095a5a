{
  const FRESH_MS = 10_000, LONGEST_PAUSE_MS = 8_000, ask = window.fetch;
  const isPart = (input) => /\/(chunk|split)_[^/]*\.wasm$/.test(new URL(input.url ?? input, location).pathname);
  const whole = async (input, init) => {
    const answer = await ask(input, init);
    if (answer.status === 404 && performance.now() > FRESH_MS) location.reload();
    if (!answer.ok) throw new Error(answer.status);
    return new Response(await answer.arrayBuffer(), { headers: answer.headers });
  };
  window.fetch = async (input, init) => {
    if (!isPart(input)) return ask(input, init);
    for (let pause = 250; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      try {
        return await whole(input, init);
      } catch {
        await new Promise((again) => setTimeout(again, pause));
      }
    }
  };
}
