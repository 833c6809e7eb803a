// No module, which browsers do not load from files: says what to do when the page is opened as one.

if (location.protocol === "file:") {
  document.getElementById("status").hidden = true;
  document.getElementById("as-file").hidden = false;
}
