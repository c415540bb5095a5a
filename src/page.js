// The page before it is hydrated, and after its wasm has stopped. Runs before anything else; `hydration.js` continues from here.
// - Keeps text typed and presses made before hydration.
// - After a panic no event reaches the app: links and forms work as without scripts.
{
  const FIELDS = "input:not([type=hidden]), textarea, select, details";
  const PRESSED = "button, input[type=submit], input[type=button], [role=button], a[href]";
  const TYPES = "click dblclick auxclick submit keydown keyup input change toggle pointerdown pointerup pointermove focusin focusout popstate visibilitychange";
  const fields = new Map(), presses = new Map();

  const waits = (target) => !page.alive && !page.dead && !(page.earlyAlive && target.closest?.("#early"));
  const log = (level, text) => console[level](`Duplex: ${text}`);

  // A field's value and state.
  const typed = (field) => {
    const { selectionStart: start, selectionEnd: end } = field.matches("input, textarea") ? field : {};
    return { value: field.value, checked: field.checked, open: field.open, files: field.files, start, end };
  };
  // Only the last press of a form counts, and the last of all links.
  const keyOf = (element) => (element.localName === "a" ? "link" : (element.form ?? element));
  const hold = (element, act, event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const key = keyOf(element);
    presses.delete(key);
    presses.set(key, { element, act });
    element.setAttribute?.("aria-busy", "true");
    document.dispatchEvent(new Event("duplex-held"));
  };
  const follows = (link) =>
    page.started && link.origin === location.origin && !link.target && !link.download && !link.getAttribute("href").includes("#");
  const pressable = (target) => {
    const pressed = target.closest?.(PRESSED);
    return pressed && (pressed.localName !== "a" || follows(pressed)) ? pressed : null;
  };
  const on = {
    pointerdown: ({ target, button }) => (page.touched = button ? null : pressable(target)),
    pointerup: () => (page.touched = null),
    input: ({ target }) => target.matches?.(FIELDS) && fields.set(target, { ...typed(target), changed: fields.get(target)?.changed }),
    change: ({ target }) => target.matches?.(FIELDS) && fields.set(target, { ...typed(target), changed: true }),
    toggle: ({ target }) => target.matches?.("details") && fields.set(target, typed(target)),
    click: (event) => {
      const pressed = pressable(event.target);
      const special = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
      if (pressed && !special) hold(pressed, (found) => found.click(), event);
    },
    submit: (event) => hold(event.target, (found) => found.requestSubmit(), event),
    keydown: (event) => {
      const { target, key, code, altKey, shiftKey } = event;
      const composes = event.isComposing || event.keyCode === 229;
      const sends = key === "Enter" && !shiftKey && !composes && target.matches?.("[enterkeyhint=send]");
      const again = () => new KeyboardEvent("keydown", { key, code, altKey, bubbles: true, cancelable: true });
      if (sends) hold(target, (found) => found.dispatchEvent(again()), event);
      else if (altKey && code === "KeyI") hold(document.body, (found) => found.dispatchEvent(again()), event);
    },
  };
  for (const type of TYPES.split(" ")) {
    const listener = (event) => {
      if (page.dead) {
        event.stopImmediatePropagation();
        // A form without an address would put what was typed into the address bar.
        if (type === "submit" && !event.target.hasAttribute("action")) event.preventDefault();
        if (type === "popstate") location.reload();
      } else if (event.target && waits(event.target)) on[type]?.(event);
    };
    addEventListener(type, listener, true);
  }

  const stop = (why) => {
    if (page.dead) return;
    page.dead = true;
    log("error", `the program of this page has stopped: ${why}. Links and forms work as without scripts.`);
    for (const { element } of presses.values()) {
      element.removeAttribute?.("aria-busy");
      if (element.localName === "a") location.assign(element.href);
      else if (element.form?.hasAttribute("action")) setTimeout(() => element.form.requestSubmit(element.type === "submit" ? element : null));
    }
  };
  const failed = (event, error) => {
    const notLoaded = !page.started && error instanceof Error && /module|wasm|fetch/i.test(error.message);
    if (error instanceof WebAssembly.RuntimeError || notLoaded) stop(error.message);
    if (page.dead) event.preventDefault();
  };
  addEventListener("error", (event) => (event.target.id === "hydration" ? stop(`${event.target.src} did not come`) : failed(event, event.error)), true);
  addEventListener("unhandledrejection", (event) => failed(event, event.reason));

  const page = { FIELDS, fields, presses, waits, log, typed, keyOf, stop };
  window.duplexInput = page;
}
