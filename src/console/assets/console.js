// What is nicer with a script: times of this place, and buttons that copy. Every page works without it.
(() => {
  const localTimes = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.valueOf())) continue;
      time.title = time.textContent;
      time.textContent = at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
      time.dataset.local = "";
    }
  };
  const copyButtons = (root) => {
    for (const text of root.querySelectorAll("[data-copy]:not([data-ready])")) {
      text.dataset.ready = "";
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(text.textContent.trim());
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 1500);
      });
      text.after(button);
    }
  };
  const improve = (root) => {
    localTimes(root);
    copyButtons(root);
  };
  improve(document);
  document.addEventListener("htmx:load", (event) => improve(event.detail.elt.parentNode ?? document));
})();
