// The page before hydration and after a panic. Runs first; `hydration.js` builds on it.
// - Before hydration: keeps typed text and presses, which `hydration.js` replays.
// - After a panic: no event reaches the app, and links and forms work as they do without scripts.
{
  const FIELDS = "input:not([type=hidden]), textarea, select, details";
  const PRESSED = "button, input[type=submit], input[type=button], [role=button], a[href]";
  const TYPES = "click dblclick auxclick submit keydown keyup input change toggle pointerdown pointerup pointermove focusin focusout popstate visibilitychange";
  const fields = new Map(), presses = new Map();

  const isPending = (target) => !page.hydrated && !page.stopped && !(page.islandHydrated && target.closest?.("#early"));
  const log = (level, text) => console[level](`Duplex: ${text}`);

  // A field's value and state.
  const fieldState = (field) => {
    const { selectionStart: start, selectionEnd: end } = field.matches("input, textarea") ? field : {};
    return { value: field.value, checked: field.checked, open: field.open, files: field.files, start, end };
  };
  // One press is kept for each form, and one for all links: the last one.
  const pressKey = (element) => (element.localName === "a" ? "link" : (element.form ?? element));
  const keepPress = (element, replay, event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    const key = pressKey(element);
    presses.delete(key);
    presses.set(key, { element, replay });
    element.setAttribute?.("aria-busy", "true");
    document.dispatchEvent(new Event("duplex-press-kept"));
  };
  const isRouted = (link) =>
    page.started && link.origin === location.origin && !link.target && !link.download && !link.getAttribute("href").includes("#");
  const pressable = (target) => {
    const pressed = target.closest?.(PRESSED);
    return pressed && (pressed.localName !== "a" || isRouted(pressed)) ? pressed : null;
  };
  const on = {
    pointerdown: ({ target, button }) => (page.pointerTarget = button ? null : pressable(target)),
    pointerup: () => (page.pointerTarget = null),
    input: ({ target }) => target.matches?.(FIELDS) && fields.set(target, { ...fieldState(target), changed: fields.get(target)?.changed }),
    change: ({ target }) => target.matches?.(FIELDS) && fields.set(target, { ...fieldState(target), changed: true }),
    toggle: ({ target }) => target.matches?.("details") && fields.set(target, fieldState(target)),
    click: (event) => {
      const pressed = pressable(event.target);
      const isModified = event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
      if (pressed && !isModified) keepPress(pressed, (found) => found.click(), event);
    },
    submit: (event) => keepPress(event.target, (found) => found.requestSubmit(), event),
    keydown: (event) => {
      const { target, key, code, altKey, shiftKey } = event;
      const isComposing = event.isComposing || event.keyCode === 229;
      const isSendKey = key === "Enter" && !shiftKey && !isComposing && target.matches?.("[enterkeyhint=send]");
      const copy = () => new KeyboardEvent("keydown", { key, code, altKey, bubbles: true, cancelable: true });
      if (isSendKey) keepPress(target, (found) => found.dispatchEvent(copy()), event);
      else if (altKey && code === "KeyI") keepPress(document.body, (found) => found.dispatchEvent(copy()), event);
    },
  };
  for (const type of TYPES.split(" ")) {
    const listener = (event) => {
      if (page.stopped) {
        event.stopImmediatePropagation();
        // A form without an action would put its fields into the URL of the page.
        if (type === "submit" && !event.target.hasAttribute("action")) event.preventDefault();
        if (type === "popstate") location.reload();
      } else if (event.target && isPending(event.target)) on[type]?.(event);
    };
    addEventListener(type, listener, true);
  }

  const stop = (reason) => {
    if (page.stopped) return;
    page.stopped = true;
    log("error", `the app has stopped: ${reason}. Links and forms work as they do without scripts.`);
    for (const { element } of presses.values()) {
      element.removeAttribute?.("aria-busy");
      if (element.localName === "a") location.assign(element.href);
      else if (element.form?.hasAttribute("action")) setTimeout(() => element.form.requestSubmit(element.type === "submit" ? element : null));
    }
  };
  const onError = (event, error) => {
    const notLoaded = !page.started && error instanceof Error && /module|wasm|fetch/i.test(error.message);
    if (error instanceof WebAssembly.RuntimeError || notLoaded) stop(error.message);
    if (page.stopped) event.preventDefault();
  };
  addEventListener("error", (event) => (event.target.id === "hydration" ? stop(`${event.target.src} failed to load`) : onError(event, event.error)), true);
  addEventListener("unhandledrejection", (event) => onError(event, event.reason));

  const page = { FIELDS, fields, presses, isPending, log, fieldState, pressKey, stop };
  window.duplexInput = page;
}
