// The life of the signalling connection as a pure state machine: events in, actions out.
// SPDX-License-Identifier: Apache-2.0
//
// States: idle → opening → entering → live → (socket lost) → waiting → opening → resuming → live …
// and closed. The owner carries the actions out and reports what happened.

/** Waits before the attempts after a loss, ms; the last one repeats. */
const BACKOFF_MS = [150, 500, 1_000, 2_000, 4_000, 5_000];
/** After this long without a connection the person is asked, ms. */
export const GIVE_UP_MS = 120_000;

export class ConnectionMachine {
  state = "idle";
  #attempt = 0;
  #lostAt = null;
  #session = null;
  #windowMs;
  #random;

  /**
   * windowMs  how long the node keeps an interrupted session
   * random    source of jitter in 0..<1
   */
  constructor({ windowMs = 20_000, random = Math.random } = {}) {
    this.#windowMs = windowMs;
    this.#random = random;
  }

  /** True while an interrupted session may still be taken up again at `now` (ms). */
  mayResume(now) {
    return this.#session !== null && this.#lostAt !== null
      && now - this.#lostAt < this.#windowMs;
  }

  /**
   * event  {type: start | opened | joined | lost | timer | online | refused | closed, …}
   * now    ms of a steady clock
   * Returns [{do: open | enter | resume | wait | rejoin | live | interrupted | gaveUp, …}].
   */
  on(event, now) {
    const handler = HANDLERS[event.type];
    if (!handler || (this.state === "closed" && event.type !== "start")) return [];
    return handler(this, event, now);
  }

  static #start(machine) {
    machine.state = "opening";
    machine.#attempt = 0;
    machine.#lostAt = null;
    machine.#session = null;
    return [{ do: "open" }];
  }

  static #opened(machine, _event, now) {
    if (machine.state !== "opening") return [];
    if (machine.mayResume(now)) {
      machine.state = "resuming";
      return [{ do: "resume", session: machine.#session }];
    }
    machine.state = "entering";
    return [{ do: "enter" }];
  }

  static #joined(machine, event) {
    if (machine.state !== "entering" && machine.state !== "resuming" && machine.state !== "live") {
      return [];
    }
    const resumed = machine.state === "resuming";
    const already = machine.state === "live";
    machine.state = "live";
    machine.#session = event.session ?? machine.#session;
    machine.#windowMs = event.windowMs ?? machine.#windowMs;
    machine.#attempt = 0;
    machine.#lostAt = null;
    return already ? [] : [{ do: "live", resumed }];
  }

  static #lost(machine, _event, now) {
    if (machine.state === "idle" || machine.state === "waiting") return [];
    const actions = machine.#lostAt === null ? [{ do: "interrupted" }] : [];
    machine.#lostAt ??= now;
    if (now - machine.#lostAt >= GIVE_UP_MS) {
      machine.state = "closed";
      return [...actions, { do: "gaveUp" }];
    }
    const base = BACKOFF_MS[Math.min(machine.#attempt, BACKOFF_MS.length - 1)];
    machine.#attempt += 1;
    machine.state = "waiting";
    return [...actions, { do: "wait", ms: Math.round(base * (0.75 + machine.#random() / 2)) }];
  }

  static #timer(machine, _event, now) {
    if (machine.state !== "waiting") return [];
    machine.state = "opening";
    return [{ do: machine.mayResume(now) ? "open" : "rejoin" }];
  }

  static #online(machine, event, now) {
    machine.#attempt = 0;
    return ConnectionMachine.#timer(machine, event, now);
  }

  static #refused(machine) {
    if (machine.state !== "resuming") return [];
    machine.#session = null;
    machine.state = "opening";
    return [{ do: "rejoin" }];
  }

  static #closed(machine) {
    machine.state = "closed";
    return [];
  }

  static handlers() {
    return {
      start: ConnectionMachine.#start,
      opened: ConnectionMachine.#opened,
      joined: ConnectionMachine.#joined,
      lost: ConnectionMachine.#lost,
      timer: ConnectionMachine.#timer,
      online: ConnectionMachine.#online,
      refused: ConnectionMachine.#refused,
      closed: ConnectionMachine.#closed,
    };
  }
}

const HANDLERS = ConnectionMachine.handlers();
