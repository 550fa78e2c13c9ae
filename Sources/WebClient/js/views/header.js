// The bar at the top of the pages outside a meeting. SPDX-License-Identifier: Apache-2.0

import { initials } from "../names.js";
import { session } from "../store.js";
import { mark } from "../ui/art.js";
import { h } from "../ui/dom.js";
import { themeButton } from "../ui/theme.js";
import { menu } from "../ui/widgets.js";

export function brand(app) {
  return h("a", {
    class: "brand", href: "/",
    onclick: (event) => {
      event.preventDefault();
      app.navigate("/");
    },
  }, mark(30), h("span", {}, "Roundhouse"));
}

function accountMenu(app, account) {
  const button = h("button", {
    type: "button", id: "account-menu", class: "avatar-button", title: "Your account",
    "aria-label": `Your account: ${account.name}`,
  }, initials(account.name));
  const list = menu(button, {
    label: "Your account",
    className: "menu-down",
    items: () => [{ id: "sign-out", label: "Sign out", icon: "out", onselect: () => signOut(app) }],
  });
  const who = h("div", { class: "account-who" }, h("strong", {}, account.name),
    h("span", {}, account.email));
  return h("div", { class: "account" }, who, button, list.element);
}

async function signOut(app) {
  try {
    await app.api.signOut();
  } catch {
    // The token is forgotten here either way.
  }
  session.clear();
  app.navigate("/");
}

export function header(app) {
  const account = session.get();
  return h("header", { class: "top" }, brand(app),
    h("div", { class: "top-end" }, themeButton(), account ? accountMenu(app, account) : null));
}
