// Small comforts. Every page works without them.
"use strict";

// A quantity in the cart takes effect at once; its button is only needed without this script.
for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// A form is sent once. What arrives twice all the same, the server recognises by its key.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method !== "post") {
    return;
  }
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
});
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
  }
});

// Moments in the visitor's own time zone.
const { lang } = document.documentElement;
const format = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { dateStyle: "long", timeStyle: "short" });
const localise = (page) => {
  for (const time of page.querySelectorAll("time[datetime]")) {
    time.textContent = format.format(new Date(time.getAttribute("datetime")));
  }
};
localise(document);

// Messages can be put away.
for (const button of document.querySelectorAll("button[data-dismiss]")) {
  button.hidden = false;
  button.addEventListener("click", () => button.closest(".toast").remove());
}

// The page of an order follows the order's life while somebody looks at it. News make it load itself again and exchange the parts that have
// changed: all words are the server's.
const live = document.querySelector("[data-live]");
let stream = null;
let later = 0;
let loading = null;
let again = false;
// As the server sent them: what a visitor has opened since is no change.
const parts = new Map();
for (const part of document.querySelectorAll("[data-part]")) {
  parts.set(part, part.innerHTML);
}

const refresh = async () => {
  const response = await fetch(location.pathname, { headers: { accept: "text/html" } });
  if (!response.ok || response.redirected) {
    return;
  }
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  localise(fresh);
  for (const [part, shown] of parts) {
    const next = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
    if (next && next.innerHTML !== shown) {
      parts.set(part, next.innerHTML);
      part.replaceChildren(...next.childNodes);
    }
  }
  live.dataset.live = fresh.querySelector("[data-live]")?.dataset.live ?? "";
};

// One at a time: what happens meanwhile is on the next one.
const load = async () => {
  while (again) {
    again = false;
    await refresh().catch(() => {});
  }
  loading = null;
};
const news = () => {
  again = true;
  loading ??= load();
  return loading;
};

const follow = () => {
  clearTimeout(later);
  stream?.close();
  stream = null;
  if (document.hidden || !live.dataset.live) {
    return;
  }
  stream = new EventSource(live.dataset.live);
  const wait = () => {
    stream.close();
    later = setTimeout(() => news().then(follow), 15_000);
  };
  stream.addEventListener("step", news);
  // Too many of this visitor's pages follow orders.
  stream.addEventListener("later", wait);
  stream.addEventListener("end", () => {
    stream.close();
    news();
  });
  // The browser comes back by itself after a broken connection, but not after a refusal.
  stream.addEventListener("error", (event) => {
    if (event.target === stream && stream.readyState === EventSource.CLOSED) {
      wait();
    }
  });
};

if (live) {
  follow();
  document.addEventListener("visibilitychange", () => (document.hidden ? follow() : news().then(follow)));
}
