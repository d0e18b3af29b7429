// Hides the rows of a table that do not hold what was typed.
for (const box of document.querySelectorAll("[data-filter]")) {
  const rows = document.querySelectorAll(box.dataset.filter + " tbody tr");
  box.addEventListener("input", () => {
    const wanted = box.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}
