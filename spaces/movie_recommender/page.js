// What the page does in the browser: star inputs, the search box, the list of ratings. Nothing here leaves the host.
window.reel ??= (() => {
  const spoken = (rating) => (rating ? `${rating / 2} star${rating === 2 ? "" : "s"}` : "not rated yet");

  const show = (stars, rating) => {
    stars.style.setProperty("--rating", rating);
    stars.querySelector("input").setAttribute("aria-valuetext", spoken(rating));
  };

  // Screen readers hear of a change once, in a sentence: what was done, and what has come of it when all of it is drawn.
  let done = "";
  let drawn;
  function note(stars, what) {
    done = `${stars.querySelector("input").getAttribute("aria-label")}: ${what}.`;
  }
  function tell(outcome, patience = 400) {
    const told = document.querySelector("#told");
    told.textContent = ""; // the same words again are news too
    clearTimeout(drawn);
    drawn = setTimeout(() => {
      told.textContent = `${done} ${outcome()}`.replace(/\s+/g, " ").trim();
      done = "";
    }, patience);
  }
  const filmsNow = () => {
    const text = (place) => document.querySelector(place)?.textContent ?? "";
    if (document.querySelector("#status [role=alert]")) return ""; // which is heard as it is
    const first = text("#recommendations .name");
    return first ? `${text("#status")} Films ${text("#pages span")}, first ${first}.` : text(".nothing-title");
  };

  // Stars are drawn by CSS; the range input under them is what the keyboard and screen readers use.
  // commit(stars, rating) runs on a click or Enter, and `patience` milliseconds after the last arrow key if that is given.
  function bindStars(root, commit, patience) {
    const from = (event) => event.target.closest(".stars");
    const under = (stars, event) => {
      const box = stars.getBoundingClientRect();
      return Math.min(10, Math.max(1, Math.ceil(((event.clientX - box.left) / box.width) * 10)));
    };
    const value = (stars) => Number(stars.querySelector("input").value);
    const timers = new WeakMap();
    const settle = (stars, rating) => {
      clearTimeout(timers.get(stars));
      timers.delete(stars);
      if (!rating) return;
      note(stars, spoken(rating));
      commit(stars, rating);
    };
    root.addEventListener("mousemove", (event) => {
      const stars = from(event);
      if (stars) stars.style.setProperty("--rating", under(stars, event));
    });
    root.addEventListener("mouseout", (event) => {
      const stars = from(event);
      if (stars && !stars.contains(event.relatedTarget)) show(stars, value(stars));
    });
    root.addEventListener("click", (event) => {
      const stars = from(event);
      if (!stars || event.detail === 0) return; // a click with no pointer has no place to read a rating from
      const rating = under(stars, event);
      stars.querySelector("input").value = rating;
      show(stars, rating);
      settle(stars, rating);
    });
    root.addEventListener("input", (event) => {
      const stars = from(event);
      if (!stars) return;
      show(stars, value(stars));
      if (patience) {
        clearTimeout(timers.get(stars));
        timers.set(stars, setTimeout(() => settle(stars, value(stars)), patience));
      }
    });
    root.addEventListener("keydown", (event) => {
      const stars = from(event);
      if (stars && event.key === "Enter") settle(stars, value(stars));
    });
    return settle;
  }

  const label = (film) => (film.year ? `${film.title} (${film.year})` : film.title);

  // A combobox (ARIA 1.2): the server finds at most ten films; only the newest answer is shown.
  function search(element, trigger, props, server, watch) {
    const send = (data) => trigger("edit", data);
    const part = (name) => element.querySelector(`[data-part=${name}]`);
    const [box, list, count, picked, starters] = ["box", "list", "count", "picked", "starters"].map(part);
    const stars = picked.querySelector(".stars");
    let films = [];
    let active = -1;
    let asked = 0;
    let timer;
    let chosen = null;

    const highlight = (index) => {
      active = index;
      [...list.children].forEach((item, i) => item.setAttribute("aria-selected", i === index));
      if (index < 0) box.removeAttribute("aria-activedescendant");
      else {
        box.setAttribute("aria-activedescendant", list.children[index].id);
        list.children[index].scrollIntoView({ block: "nearest" });
      }
    };
    const close = () => {
      list.hidden = true;
      box.setAttribute("aria-expanded", "false");
      highlight(-1);
    };
    const open = () => {
      list.replaceChildren(
        ...films.map((film, index) => {
          const item = document.createElement("li");
          item.id = `found-${index}`;
          item.role = "option";
          item.append(film.title);
          if (film.year) {
            const year = document.createElement("span");
            year.className = "released";
            year.textContent = film.year;
            item.append(" ", year);
          }
          return item;
        }),
      );
      list.hidden = films.length === 0;
      box.setAttribute("aria-expanded", String(films.length > 0));
      count.textContent = films.length
        ? `${films.length} film${films.length === 1 ? "" : "s"} found`
        : "No film of that name here";
      count.classList.toggle("hidden", films.length > 0);
      highlight(films.length ? 0 : -1);
    };
    const ask = async () => {
      const text = box.value.trim();
      const turn = ++asked;
      if (!text) {
        films = [];
        close();
        count.textContent = "";
        return;
      }
      const answer = await server.find_films(text).catch(() => null);
      if (turn !== asked) return;
      films = answer ?? [];
      open();
      if (!answer) count.textContent = "The server is busy. Please type on in a moment.";
    };
    const forget = () => {
      chosen = null;
      picked.hidden = true;
    };
    const pick = (film) => {
      chosen = film;
      asked++;
      films = [];
      box.value = "";
      count.textContent = "";
      close();
      const rating = (props.value?.ratings ?? {})[film.film_id] ?? 0;
      picked.querySelector("[data-part=name]").textContent = label(film);
      const input = stars.querySelector("input");
      input.value = rating;
      input.setAttribute("aria-label", `Your rating of ${label(film)}`);
      show(stars, rating);
      picked.hidden = false;
      trigger("select", { film_id: film.film_id }); // what this visitor would give it
      input.focus();
    };
    const offer = () => {
      const some = props.value?.starters ?? [];
      starters.hidden = some.length === 0;
      starters.querySelector("div").replaceChildren(
        ...some.map((film) => {
          const chip = document.createElement("button");
          chip.type = "button";
          chip.textContent = film.title;
          chip.addEventListener("click", () => pick(film));
          return chip;
        }),
      );
    };

    box.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(ask, 120);
    });
    box.addEventListener("blur", () => setTimeout(close, 150));
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step && films.length) {
        if (list.hidden) open();
        else highlight((active + step + films.length) % films.length);
      } else if (event.key === "Enter" && active >= 0) pick(films[active]);
      else if (event.key === "Escape") {
        box.value = list.hidden ? "" : box.value;
        close();
      } else return;
      event.preventDefault();
    });
    list.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus in the box
    list.addEventListener("click", (event) => {
      const item = event.target.closest("li");
      if (item) pick(films[[...list.children].indexOf(item)]);
    });
    const save = (rating) => {
      if (!chosen) return;
      send({ action: "rate", film_id: chosen.film_id, rating });
      forget();
      box.focus({ preventScroll: true });
    };
    const settle = bindStars(picked, (_, rating) => save(rating));
    picked.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        forget();
        box.focus();
      }
    });
    picked.querySelector("[data-part=save]").addEventListener("click", () => {
      const rating = Number(stars.querySelector("input").value);
      if (rating) settle(stars, rating);
      else stars.querySelector("input").focus();
    });
    picked.querySelector("[data-part=cancel]").addEventListener("click", () => {
      forget();
      box.focus();
    });
    document.addEventListener("reel:pick", (event) => {
      pick(event.detail);
      picked.scrollIntoView({ block: "center", behavior: "smooth" });
    });
    watch("value", offer);
    offer();
  }

  function ratings(element, send, watch) {
    bindStars(element, (stars, rating) => send({ action: "rate", film_id: stars.dataset.film, rating }), 600);
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (!button) return;
      if (button.dataset.film) {
        note(button.closest("li"), "removed");
        send({ action: "remove", film_id: button.dataset.film });
      } else if (button.dataset.action !== "clear" || confirm("Forget all your ratings?"))
        send({ action: button.dataset.action });
    });
    // A row that moved up keeps the slider of the row that was there: its value must follow the new row.
    watch("value", () => {
      given();
      tell(filmsNow, 3000); // sooner when the films are drawn anew too
    });
  }

  // The stars of the list as they were given.
  function given() {
    document.querySelectorAll("#ratings .stars").forEach((stars) => {
      const input = stars.querySelector("input");
      input.value = input.getAttribute("value");
      show(stars, Number(input.value));
    });
  }

  // A change that was refused was not made.
  function undo() {
    done = "";
    given();
  }

  // The film that is asked about: a click on its stars rates it, Enter too.
  function question(element, send, watch) {
    let passed = false;
    bindStars(element, (stars, rating) => send({ action: "rate", film_id: stars.dataset.film, rating }));
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-action]");
      if (!button) return;
      passed = true;
      send({ action: button.dataset.action, film_id: button.dataset.film });
    });
    watch("value", () => {
      if (passed) tell(() => element.querySelector("h3")?.textContent ?? ""); // the list stays as it is
      passed = false;
      const stars = element.querySelector(".stars");
      if (!stars) return;
      stars.querySelector("input").value = 0;
      show(stars, 0);
    });
  }

  function pages(element, turn) {
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button.turn");
      if (!button) return;
      turn({ page: Number(button.dataset.page) });
      document.querySelector("#status")?.scrollIntoView({ block: "start", behavior: "smooth" });
    });
  }

  function table(element, watch) {
    watch("value", () => tell(filmsNow));
    // The way here, for the keyboard and for narrow screens, is of no use to somebody who has arrived.
    const jump = document.querySelector(".jump");
    new IntersectionObserver(([films]) => jump?.classList.toggle("arrived", films.isIntersecting)).observe(
      document.querySelector("#films"),
    );
    element.addEventListener("click", (event) => {
      const button = event.target.closest("button.seen-it");
      if (!button) return;
      const { film, title, year } = button.dataset;
      document.dispatchEvent(new CustomEvent("reel:pick", { detail: { film_id: film, title, year } }));
    });
  }

  function pair(element, watch) {
    watch("value", () =>
      tell(() => {
        const films = element.querySelectorAll(".for-two tbody th");
        return films.length ? `${films.length} films for both, first ${films[0].textContent}.` : "";
      }),
    );
  }

  function download(text, name) {
    if (!text) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: `text/${name.endsWith("json") ? "json" : "csv"};charset=utf-8` }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  return { search, question, ratings, table, pages, pair, undo, download };
})();
