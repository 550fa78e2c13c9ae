// A minimal typed event source. SPDX-License-Identifier: Apache-2.0

export class Emitter {
  #listeners = new Map();

  /** Calls `listener` at each event of that name; returns the function that stops it. */
  on(name, listener) {
    const set = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, set.add(listener));
    return () => set.delete(listener);
  }

  emit(name, value) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(value);
      } catch (error) {
        console.error(`listener of ${name}`, error);
      }
    }
  }
}
