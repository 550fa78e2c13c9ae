// Start of the application: which page is shown at which path. SPDX-License-Identifier: Apache-2.0

import { Api } from "./api.js";
import { DebugSurface } from "./debug.js";
import { session } from "./store.js";
import { h } from "./ui/dom.js";
import { applyTheme } from "./ui/theme.js";
import { toast } from "./ui/widgets.js";
import { authView } from "./views/auth.js";
import { homeView } from "./views/home.js";
import { meetingPage } from "./views/page.js";

const TITLES = { auth: "Roundhouse", home: "Roundhouse", meeting: "Meeting · Roundhouse" };

class App {
  root = document.getElementById("app");
  debug = new DebugSurface(() => session.get());
  api = new Api({
    token: () => session.get()?.token ?? null,
    onSignedOut: () => this.signedOut(),
  });
  /** The meeting just created here: {meetingId, server, ticket}; used once. */
  created = null;
  #dispose = () => {};

  start() {
    applyTheme();
    window.addEventListener("popstate", () => this.show());
    window.addEventListener("storage", (event) => {
      if (event.key === "roundhouse.preferences") applyTheme();
    });
    this.show();
  }

  /** Goes to a path of this application. */
  navigate(path) {
    if (path !== location.pathname + location.hash) history.pushState(null, "", path);
    this.show();
  }

  /** Shows the page of the present path. */
  show() {
    this.#dispose();
    this.#dispose = () => {};
    const meetingId = /^\/m\/([A-Za-z0-9_-]+)\/?$/.exec(location.pathname)?.[1] ?? null;
    const account = session.get();
    const [name, view] = this.#choose(meetingId, account);
    document.title = TITLES[name];
    const { element, dispose, ready } = view;
    this.#dispose = dispose ?? (() => {});
    this.root.replaceChildren(element);
    ready?.();
  }

  #choose(meetingId, account) {
    if (!account) {
      this.debug.page = "auth";
      return ["auth", authView(this, meetingId)];
    }
    if (meetingId) return ["meeting", meetingPage(this, meetingId)];
    this.debug.page = "home";
    return ["home", homeView(this)];
  }

  signedIn(value) {
    session.set(value);
    const path = location.pathname.startsWith("/m/") ? location.pathname : "/";
    history.replaceState(null, "", path);
    this.show();
  }

  signedOut() {
    if (!session.get()) return;
    session.clear();
    toast("You have been signed out.", "info");
    this.show();
  }
}

if (typeof RTCPeerConnection === "undefined" || typeof WebSocket === "undefined") {
  document.getElementById("app").append(h("p", { class: "noscript" },
    "This browser can’t hold video meetings. Use a current Firefox, Chrome, Edge or Safari."));
} else {
  new App().start();
}
