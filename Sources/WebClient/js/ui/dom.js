// Making elements without markup in strings. SPDX-License-Identifier: Apache-2.0

const PROPERTIES = new Set([
  "value", "checked", "muted", "autoplay", "playsInline", "srcObject", "disabled", "hidden",
  "textContent", "selected",
]);

/**
 * An element with properties and children. `class`, `dataset`, `on…` listeners and `aria-…` are
 * known; null and false are left out.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) setProperty(element, name, value);
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== false
    && child !== undefined));
  return element;
}

function setProperty(element, name, value) {
  if (value === null || value === undefined) return;
  if (name === "class") element.className = value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
  else if (PROPERTIES.has(name)) element[name] = value;
  else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
}

/** An SVG element with attributes and children. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children.flat(Infinity));
  return element;
}

/** A set of clean-ups that run once. */
export class Scope {
  #cleanups = [];
  #abort = new AbortController();

  /** For addEventListener: the listener goes with the scope. */
  get signal() {
    return this.#abort.signal;
  }

  add(...cleanups) {
    this.#cleanups.push(...cleanups);
  }

  every(ms, action) {
    const timer = setInterval(action, ms);
    this.add(() => clearInterval(timer));
  }

  dispose() {
    this.#abort.abort();
    this.#cleanups.splice(0).reverse().forEach((cleanup) => cleanup());
  }
}
