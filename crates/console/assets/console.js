// The theme, keys, and what is live or moves. Everything else works without this file.
(function () {
  "use strict";
  var root = document.documentElement;
  var themes = ["system", "light", "dark"];

  function chosen() {
    try {
      var theme = localStorage.getItem("theme");
      return themes.indexOf(theme) > 0 ? theme : "system";
    } catch (error) {
      return "system";
    }
  }

  function apply(theme) {
    if (theme === "system") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
  }

  apply(chosen());

  function themeButton() {
    var button = document.querySelector("[data-theme-button]");
    if (!button) return;
    function name() { button.textContent = "Theme: " + chosen(); }
    button.hidden = false;
    name();
    button.addEventListener("click", function () {
      var next = themes[(themes.indexOf(chosen()) + 1) % themes.length];
      try { localStorage.setItem("theme", next); } catch (error) { /* It lasts for this page. */ }
      apply(next);
      name();
    });
  }

  // Keys that lead somewhere. Whoever speaks to the machine, or whose hand trembles, can turn them off.
  function keysAreOff() {
    try { return localStorage.getItem("keys") === "off"; } catch (error) { return false; }
  }

  function keysButton() {
    var button = document.querySelector("[data-keys-button]");
    if (!button) return;
    function name() { button.textContent = keysAreOff() ? "Turn the keys on" : "Turn the keys off"; }
    button.hidden = false;
    name();
    button.addEventListener("click", function () {
      try { localStorage.setItem("keys", keysAreOff() ? "on" : "off"); } catch (error) { /* They stay as they are. */ }
      name();
    });
  }

  function keys() {
    var ways = { o: "/", i: "/incidents", f: "/findings", l: "/live", q: "/queue", p: "/posture", h: "/hunts", b: "/blocklists", n: "/nodes" };
    var going = 0;
    document.addEventListener("keydown", function (event) {
      var at = event.target;
      var writes = at.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(at.tagName);
      if (writes || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || keysAreOff()) return;
      var search = document.getElementById("search");
      if (going && Date.now() - going < 1500 && Object.prototype.hasOwnProperty.call(ways, event.key)) {
        event.preventDefault();
        location.assign(ways[event.key]);
      } else if (event.key === "/" && search) {
        event.preventDefault();
        search.focus();
      } else if (event.key === "?" && search) {
        location.assign("/keys");
      }
      going = event.key === "g" ? Date.now() : 0;
    });
  }

  // Parts of the page that are made anew on the server when something has happened.
  function refresher() {
    var parts = document.querySelectorAll("[data-refresh]");
    var timer = null;
    return function () {
      if (!parts.length || timer) return;
      timer = setTimeout(function () {
        fetch(location.pathname + location.search, { credentials: "same-origin", redirect: "error" })
          .then(function (answer) { return answer.ok ? answer.text() : Promise.reject(answer.status); })
          .then(function (text) {
            var page = new DOMParser().parseFromString(text, "text/html");
            parts.forEach(function (part) {
              var fresh = page.getElementById(part.id);
              // Whoever reads a folded part, or stands in it, keeps it.
              if (!fresh || part.contains(document.activeElement) || part.querySelector("details[open]")) return;
              part.replaceChildren.apply(part, fresh.childNodes);
            });
          })
          .catch(function () { /* The next event tries again. */ })
          .then(function () { timer = null; });
      }, 3000);
    };
  }

  // What a worker is at moves by itself, for as long as something does.
  function moving() {
    if (document.querySelector("[data-stream]") || !document.querySelector("[data-moving]")) return;
    var refresh = refresher();
    var timer = setInterval(function () {
      if (!document.querySelector("[data-moving]")) clearInterval(timer);
      else if (!document.hidden) refresh();
    }, 3000);
  }

  function live(box) {
    var list = box.querySelector("[data-live-list]");
    var state = box.querySelector("[data-live-state]");
    var told = box.querySelector("[data-live-told]");
    var pause = box.querySelector("[data-live-pause]");
    var most = Number(box.getAttribute("data-most")) || 100;
    var refresh = refresher();
    var waiting = [];
    var fresh = 0;
    var paused = false;

    function put(html) {
      var empty = box.querySelector("[data-live-empty]");
      if (empty) empty.remove();
      var part = document.createElement("template");
      part.innerHTML = html;
      var row = part.content.firstElementChild;
      if (!row) return;
      row.classList.add("fresh");
      list.prepend(row);
      while (list.children.length > most) list.lastElementChild.remove();
      fresh += 1;
    }

    function say() {
      state.textContent = paused ? "Paused, " + waiting.length + " waiting." : "Live.";
    }

    function came(event) {
      if (paused) {
        waiting.push(event.data);
        if (waiting.length > most) waiting.shift();
        say();
        return;
      }
      put(event.data);
      refresh();
    }

    // Readers of the screen hear how many came, at most every few seconds.
    setInterval(function () {
      if (!fresh) return;
      told.textContent = fresh === 1 ? "1 new entry" : fresh + " new entries";
      fresh = 0;
    }, 5000);

    var source = new EventSource(box.getAttribute("data-stream"));
    source.addEventListener("open", say);
    source.addEventListener("error", function () {
      state.textContent = source.readyState === EventSource.CLOSED
        ? "Not live any more: reload the page." : "Not live: connecting again.";
    });
    source.addEventListener("entry", came);
    source.addEventListener("left-out", came);

    pause.hidden = false;
    pause.addEventListener("click", function () {
      paused = !paused;
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Go on" : "Pause";
      if (!paused) {
        waiting.forEach(put);
        waiting = [];
        refresh();
      }
      say();
    });
  }

  document.addEventListener("DOMContentLoaded", function () {
    themeButton();
    keysButton();
    keys();
    moving();
    document.querySelectorAll("[data-stream]").forEach(live);
  });
})();
