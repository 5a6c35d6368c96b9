// Shows what becomes of a job while its page is open. The page is complete without: this only keeps it up to date.
window.addEventListener("DOMContentLoaded", () => {
  const find = (id) => document.getElementById(id);
  const place = find("live");
  const source = new EventSource(place.dataset.events);
  const listen = (name, show) => source.addEventListener(name, (event) => show(JSON.parse(event.data)));

  listen("status", (told) => {
    if (told.status !== place.dataset.status) {
      source.close();
      window.location.reload();
    }
  });
  listen("message", (told) => {
    find("note").textContent = told.message;
  });
  listen("progress", (told) => {
    find("percent").textContent = told.progress;
    find("progress").value = told.progress;
    find("bar").hidden = false;
  });
  listen("log", (told) => {
    find("lines").append(told.text, "\n");
    find("written").hidden = false;
  });
  listen("end", () => source.close());
});
