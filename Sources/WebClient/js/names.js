// Names, initials and meeting codes as text. Pure. SPDX-License-Identifier: Apache-2.0

/** What to call somebody whose name is not known. */
export function displayName(name, accountId) {
  const clean = String(name ?? "").trim();
  return clean || `Guest ${String(accountId ?? "").slice(0, 4)}`;
}

/** One or two letters for a picture that isn't there. */
export function initials(name) {
  const words = String(name ?? "").trim().split(/\s+/u).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters.map((word) => [...word][0].toLocaleUpperCase()).join("") || "?";
}

/** A steady colour for an account: a hue in degrees. */
export function hueOf(accountId) {
  let hash = 2166136261;
  for (const character of String(accountId)) {
    hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  }
  return Math.round((hash % 24) * 15);
}

/**
 * The meeting id in what a person typed or pasted: a code with or without its hyphens, or a link.
 * Returns null when there is none.
 */
export function meetingIdIn(text) {
  const trimmed = String(text ?? "").trim();
  const fromLink = /\/m\/([A-Za-z0-9_-]{3,64})/.exec(trimmed);
  if (fromLink) return fromLink[1];
  const letters = trimmed.toLowerCase().replace(/[\s-]+/g, "");
  if (/^[a-z]{10}$/.test(letters)) {
    return `${letters.slice(0, 3)}-${letters.slice(3, 7)}-${letters.slice(7)}`;
  }
  return /^[A-Za-z0-9_-]{3,64}$/.test(trimmed) ? trimmed : null;
}
