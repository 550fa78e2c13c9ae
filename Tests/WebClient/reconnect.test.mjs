// Tests of the signalling connection's state machine, on a virtual clock.
// SPDX-License-Identifier: Apache-2.0

import assert from "node:assert/strict";
import test from "node:test";
import { ConnectionMachine, GIVE_UP_MS } from "../../Sources/WebClient/js/reconnect.js";

const names = (actions) => actions.map((action) => action.do);

function live(at = 0) {
  const machine = new ConnectionMachine({ random: () => 0.5 });
  machine.on({ type: "start" }, at);
  machine.on({ type: "opened" }, at);
  machine.on({ type: "joined", session: "secret" }, at);
  return machine;
}

test("joining opens, enters and is live", () => {
  const machine = new ConnectionMachine();
  assert.deepEqual(names(machine.on({ type: "start" }, 0)), ["open"]);
  assert.deepEqual(names(machine.on({ type: "opened" }, 10)), ["enter"]);
  const joined = { type: "joined", session: "s" };
  assert.deepEqual(machine.on(joined, 20), [{ do: "live", resumed: false }]);
  assert.deepEqual(machine.on(joined, 30), [], "a second list is no news");
});

test("a lost socket resumes the session within the window", () => {
  const machine = live();
  assert.deepEqual(names(machine.on({ type: "lost" }, 1_000)), ["interrupted", "wait"]);
  assert.deepEqual(names(machine.on({ type: "timer" }, 1_200)), ["open"]);
  assert.deepEqual(machine.on({ type: "opened" }, 1_300), [{ do: "resume", session: "secret" }]);
  assert.deepEqual(machine.on({ type: "joined", session: "next" }, 1_400),
    [{ do: "live", resumed: true }]);
  machine.on({ type: "lost" }, 9_000);
  machine.on({ type: "timer" }, 9_200);
  assert.deepEqual(machine.on({ type: "opened" }, 9_300), [{ do: "resume", session: "next" }]);
});

test("failed attempts wait longer and tell the interruption once", () => {
  const machine = live();
  const waits = [];
  let now = 1_000;
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const actions = machine.on({ type: "lost" }, now);
    assert.deepEqual(names(actions), attempt === 0 ? ["interrupted", "wait"] : ["wait"]);
    waits.push(actions.at(-1).ms);
    now += 10;
    machine.on({ type: "timer" }, now);
  }
  assert.deepEqual(waits, [150, 500, 1_000, 2_000, 4_000]);
});

test("beyond the window, or refused, it joins anew", () => {
  const late = live();
  late.on({ type: "lost" }, 0);
  assert.deepEqual(names(late.on({ type: "timer" }, 25_000)), ["rejoin"]);
  const refused = live();
  refused.on({ type: "lost" }, 0);
  refused.on({ type: "timer" }, 100);
  refused.on({ type: "opened" }, 200);
  assert.deepEqual(names(refused.on({ type: "refused" }, 300)), ["rejoin"]);
  assert.equal(refused.mayResume(300), false);
});

test("the network's return cuts the wait short", () => {
  const machine = live();
  machine.on({ type: "lost" }, 0);
  assert.deepEqual(names(machine.on({ type: "online" }, 50)), ["open"]);
  assert.deepEqual(machine.on({ type: "online" }, 60), [], "while opening there is no second try");
});

test("it gives up after two minutes and stays closed until started again", () => {
  const machine = live();
  machine.on({ type: "lost" }, 0);
  machine.on({ type: "timer" }, GIVE_UP_MS - 1);
  assert.deepEqual(names(machine.on({ type: "lost" }, GIVE_UP_MS + 1)), ["gaveUp"]);
  assert.deepEqual(machine.on({ type: "timer" }, GIVE_UP_MS + 2), []);
  assert.deepEqual(names(machine.on({ type: "start" }, GIVE_UP_MS + 3)), ["open"]);
});

test("a connection that never opened is retried without a session", () => {
  const machine = new ConnectionMachine();
  machine.on({ type: "start" }, 0);
  machine.on({ type: "lost" }, 100);
  assert.deepEqual(names(machine.on({ type: "timer" }, 300)), ["rejoin"]);
});

test("events in a state they don't belong to do nothing", () => {
  const machine = new ConnectionMachine();
  for (const type of ["opened", "joined", "lost", "timer", "refused", "unheard-of"]) {
    assert.deepEqual(machine.on({ type }, 0), [], type);
  }
});
