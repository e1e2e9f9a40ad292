// The theme, and what is live. Everything else works without this file.
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
    document.querySelectorAll("[data-stream]").forEach(live);
  });
})();
