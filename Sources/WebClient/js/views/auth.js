// Sign in and sign up. SPDX-License-Identifier: Apache-2.0

import { describeProblem } from "../problems.js";
import { roundhouse } from "../ui/art.js";
import { h } from "../ui/dom.js";
import { notice } from "../ui/widgets.js";
import { header } from "./header.js";

/** The services' own rule: the least characters of a password. */
const PASSWORD_MIN = 8;

function field({ id, label, hint, ...rest }) {
  const hintId = hint ? `${id}-hint` : null;
  return h("div", { class: "field" }, h("label", { for: id }, label),
    h("input", { id, name: id, "aria-describedby": hintId, ...rest }),
    hint ? h("p", { id: hintId, class: "hint" }, hint) : null);
}

function passwordField({ id, autocomplete, hint }) {
  const box = field({
    id, label: "Password", type: "password", autocomplete, required: true, hint,
  });
  const input = box.querySelector("input");
  const show = h("button", {
    type: "button", class: "inline-button", "aria-pressed": "false", "aria-controls": id,
    onclick: () => {
      const visible = input.type === "password";
      input.type = visible ? "text" : "password";
      show.textContent = visible ? "Hide" : "Show";
      show.setAttribute("aria-pressed", String(visible));
    },
  }, "Show");
  const frame = h("div", { class: "with-button" });
  input.replaceWith(frame);
  frame.append(input, show);
  return box;
}

function signInForm() {
  return h("form", { id: "signin-form", novalidate: true, "aria-label": "Sign in" },
    field({
      id: "signin-email", label: "E-mail", type: "email", autocomplete: "username",
      inputmode: "email", required: true,
    }),
    passwordField({ id: "signin-password", autocomplete: "current-password" }),
    h("button", { id: "signin-submit", class: "button primary wide", type: "submit" }, "Sign in"));
}

function signUpForm() {
  return h("form", { id: "signup-form", novalidate: true, "aria-label": "Sign up" },
    field({
      id: "signup-name", label: "Name", autocomplete: "name", required: true, maxlength: 80,
      hint: "What others see in a meeting.",
    }),
    field({
      id: "signup-email", label: "E-mail", type: "email", autocomplete: "username",
      inputmode: "email", required: true,
    }),
    passwordField({
      id: "signup-password", autocomplete: "new-password",
      hint: `At least ${PASSWORD_MIN} characters.`,
    }),
    h("button", { id: "signup-submit", class: "button primary wide", type: "submit" },
      "Create account"));
}

/** What a person should correct before anything is sent; "" when nothing. */
function complaint(form, kind) {
  const value = (name) => form.querySelector(`#${kind}-${name}`)?.value.trim() ?? "";
  if (kind === "signup" && !value("name")) return ["name", "Enter your name."];
  if (!/^[^\s@]+@[^\s@]+$/.test(value("email"))) {
    return ["email", "Enter your e-mail address, like ada@example.org."];
  }
  const password = form.querySelector(`#${kind}-password`).value;
  if (!password) return ["password", "Enter your password."];
  if (kind === "signup" && [...password].length < PASSWORD_MIN) {
    return ["password", `Choose a password of at least ${PASSWORD_MIN} characters.`];
  }
  return null;
}

class AuthForms {
  error = notice("auth-error");
  forms = { signin: signInForm(), signup: signUpForm() };
  panels = {};
  tabs = {};
  #app;

  constructor(app) {
    this.#app = app;
    for (const [kind, label] of [["signin", "Sign in"], ["signup", "Sign up"]]) {
      this.tabs[kind] = h("button", {
        type: "button", role: "tab", id: `tab-${kind}`, "aria-controls": `${kind}-panel`,
        onclick: () => this.show(kind),
      }, label);
      this.panels[kind] = h("div", {
        id: `${kind}-panel`, role: "tabpanel", "aria-labelledby": `tab-${kind}`,
      }, this.forms[kind]);
      this.forms[kind].addEventListener("submit", (event) => {
        event.preventDefault();
        this.#submit(kind);
      });
    }
  }

  show(kind, focus = true) {
    for (const [name, panel] of Object.entries(this.panels)) {
      const chosen = name === kind;
      panel.hidden = !chosen;
      this.tabs[name].setAttribute("aria-selected", String(chosen));
      this.tabs[name].tabIndex = chosen ? 0 : -1;
    }
    this.error.show("");
    if (focus) this.forms[kind].querySelector("input").focus();
  }

  onTabKey(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    const next = this.panels.signin.hidden ? "signin" : "signup";
    this.show(next, false);
    this.tabs[next].focus();
  }

  async #submit(kind) {
    const form = this.forms[kind];
    const value = (name) => form.querySelector(`#${kind}-${name}`)?.value ?? "";
    this.#clearInvalid(form);
    const wrong = complaint(form, kind);
    if (wrong) {
      this.#point(form.querySelector(`#${kind}-${wrong[0]}`), wrong[1]);
      return;
    }
    const details = {
      name: value("name").trim(), email: value("email").trim(), password: value("password"),
    };
    const submit = form.querySelector(`#${kind}-submit`);
    submit.disabled = true;
    this.error.show("");
    try {
      const { api } = this.#app;
      this.#app.signedIn(kind === "signup" ? await api.signUp(details) : await api.signIn(details));
    } catch (error) {
      this.error.show(describeProblem(error, kind));
      submit.disabled = false;
      submit.focus();
    }
  }

  #clearInvalid(form) {
    form.querySelectorAll("input").forEach((input) => input.removeAttribute("aria-invalid"));
  }

  #point(input, message) {
    this.error.show(message);
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

export function authView(app, meetingId) {
  const forms = new AuthForms(app);
  const tabs = h("div", {
    class: "tabs", role: "tablist", "aria-label": "Account",
    onkeydown: (event) => forms.onTabKey(event),
  }, forms.tabs.signin, forms.tabs.signup);
  const asked = [location.hash.slice(1), location.pathname.slice(1)];
  const kind = asked.includes("signup") ? "signup" : "signin";
  const element = h("div", { class: "page auth" }, header(app),
    h("main", { class: "auth-main" },
      h("section", { class: "auth-words" },
        h("h1", {}, meetingId ? "Somebody is waiting for you." : "Meet on your own tracks."),
        h("p", { class: "lead" }, meetingId
          ? "Sign in, or make an account, and you go straight on to the meeting."
          : "Video meetings on a server that you run yourself. Open a meeting, send the link, "
            + "see each other."),
        roundhouse()),
      h("section", { class: "card auth-card", "aria-label": "Your account" }, tabs,
        forms.error.element, forms.panels.signin, forms.panels.signup)));
  forms.show(kind, false);
  return {
    element,
    ready: () => forms.forms[kind].querySelector("input").focus({ preventScroll: true }),
  };
}
