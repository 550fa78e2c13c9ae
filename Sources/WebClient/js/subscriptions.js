// What to subscribe to and the packet that gets there in one step.
// Pure. SPDX-License-Identifier: Apache-2.0

/** Most video feeds of a participant at once. */
export const SUBSCRIPTIONS_MAX = 49;

const VIDEO_STEPS = [9, 16, 25, 36, 49];
const AUDIO_STEPS = [8, 16, 24, 32, 40, 50];

function stepFor(steps, count) {
  return steps.find((step) => step >= count) ?? steps[steps.length - 1];
}

/** How many receiving sections to offer for `count` feeds: a step, so that offers are rare. */
export const videoSlotsFor = (count) => stepFor(VIDEO_STEPS, count);
export const audioSlotsFor = (count) => stepFor(AUDIO_STEPS, count);

/** The key of a feed in a map of subscriptions. */
export const feedKey = (accountId, source) => `${accountId} ${source}`;

/**
 * The map of wanted subscriptions: the first 49 of the list, one a feed, the larger bit rate wins.
 * wanted  [{accountId, source, bitrate}] in order of importance
 */
export function plan(wanted) {
  const planned = new Map();
  for (const { accountId, source, bitrate } of wanted) {
    const key = feedKey(accountId, source);
    const known = planned.get(key);
    if (known) {
      known.bitrate = Math.max(known.bitrate, bitrate);
    } else if (planned.size < SUBSCRIPTIONS_MAX) {
      planned.set(key, { accountId, source, bitrate });
    }
  }
  return planned;
}

function action({ accountId, source, bitrate }) {
  return { account_id: accountId, source, bitrate };
}

/**
 * The body of the UNSUB_SUB packet that turns `current` into `desired`, or null if they agree.
 * A changed bit rate is a subscribe of the same feed again.
 */
export function remap(current, desired) {
  const unsubscribe = [...current].filter(([key]) => !desired.has(key)).map(([, s]) => action(s));
  const subscribe = [...desired]
    .filter(([key, wish]) => current.get(key)?.bitrate !== wish.bitrate)
    .map(([, s]) => action(s));
  const count = unsubscribe.length + subscribe.length;
  return count === 0 ? null : { num_actions: count, unsubscribe, subscribe };
}
