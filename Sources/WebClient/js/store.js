// What the browser keeps: the session and the preferences. SPDX-License-Identifier: Apache-2.0

const SESSION_KEY = "roundhouse.session";
const PREFERENCES_KEY = "roundhouse.preferences";
const RECENT_KEY = "roundhouse.recent";
const RECENT_MAX = 5;

const DEFAULT_PREFERENCES = Object.freeze({
  theme: "system", quality: "high", micOn: true, cameraOn: true, micId: "", cameraId: "",
  mirror: true,
});

function read(key) {
  try {
    return JSON.parse(localStorage.getItem(key) ?? "null");
  } catch {
    return null;
  }
}

function write(key, value) {
  try {
    if (value === null) localStorage.removeItem(key);
    else localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // Storage may be full or forbidden; the page works on without it.
  }
}

/**
 * The signed-in account, or null: {token, accountId, name, email, expiresAt}; expiresAt is ms
 * epoch or null.
 */
export const session = {
  get() {
    const value = read(SESSION_KEY);
    if (!value?.token || !value.accountId) return null;
    if (value.expiresAt && value.expiresAt <= Date.now()) return null;
    return value;
  },
  set(value) {
    write(SESSION_KEY, value);
  },
  clear() {
    write(SESSION_KEY, null);
    write(RECENT_KEY, null);
  },
};

export const preferences = {
  get() {
    return { ...DEFAULT_PREFERENCES, ...(read(PREFERENCES_KEY) ?? {}) };
  },
  set(change) {
    write(PREFERENCES_KEY, { ...preferences.get(), ...change });
  },
};

/** Meetings lately joined here, newest first: [{meetingId, at (ms epoch), hosted}]. */
export const recent = {
  list() {
    const value = read(RECENT_KEY);
    return Array.isArray(value) ? value : [];
  },
  add(entry) {
    const others = recent.list().filter((known) => known.meetingId !== entry.meetingId);
    write(RECENT_KEY, [entry, ...others].slice(0, RECENT_MAX));
  },
  remove(meetingId) {
    write(RECENT_KEY, recent.list().filter((known) => known.meetingId !== meetingId));
  },
};
