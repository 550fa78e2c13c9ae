// Dark, light, or as the system has it. SPDX-License-Identifier: Apache-2.0

import { preferences } from "../store.js";
import { iconButton, setIcon } from "./widgets.js";

const NEXT = { system: "dark", dark: "light", light: "system" };
const ICONS = { system: "system", dark: "moon", light: "sun" };
const LABELS = { system: "Theme: as the system", dark: "Theme: dark", light: "Theme: light" };

/** Applies the stored choice to the page. */
export function applyTheme() {
  const { theme } = preferences.get();
  if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

export function nextTheme() {
  preferences.set({ theme: NEXT[preferences.get().theme] ?? "dark" });
  applyTheme();
  return preferences.get().theme;
}

export function themeLabel() {
  return LABELS[preferences.get().theme] ?? LABELS.system;
}

export function themeIcon() {
  return ICONS[preferences.get().theme] ?? "system";
}

/** The button that goes through the three choices. */
export function themeButton() {
  const button = iconButton({
    id: "theme-toggle", name: themeIcon(), label: themeLabel(), className: "ghost",
  });
  button.addEventListener("click", () => {
    nextTheme();
    setIcon(button, themeIcon(), themeLabel());
  });
  return button;
}
