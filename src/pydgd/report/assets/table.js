// Tables that sort by their headers, and the file that the table of genes is saved to.
function sortable(table, sort) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const ascending = head.getAttribute("aria-sort") !== "ascending";
    markSorted(table, column, ascending);
    sort(column, ascending);
  }));
}

function markSorted(table, column, ascending) {
  [...table.tHead.rows[0].cells].forEach((head) => head.removeAttribute("aria-sort"));
  table.tHead.rows[0].cells[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
}

// Rows of a short table by their text, numbers as numbers; empty cells last.
function sortRows(body, column, ascending) {
  const key = (row) => row.cells[column].textContent.trim();
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const asNumber = (text) => Number(text.replaceAll(",", ""));
  const rows = [...body.rows].sort((a, b) => {
    const [s, t] = [key(a), key(b)];
    if (!s || !t) return (s ? 0 : 1) - (t ? 0 : 1);
    const difference = asNumber(s) - asNumber(t);
    return (Number.isNaN(difference) ? compare(s, t) : difference) * (ascending ? 1 : -1);
  });
  body.append(...rows);
}

function cell(row, text, { head = false, number = false } = {}) {
  const made = document.createElement(head ? "th" : "td");
  if (head) made.scope = "row";
  if (number) made.className = "number";
  if (text !== null) made.textContent = text;
  row.append(made);
  return made;
}

// A name as a field of CSV that no spreadsheet takes for a formula.
function csvName(name) {
  const safe = /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function csvNumber(value, log10) {
  if (Number.isNaN(value)) return "";
  return log10 ? asP(value, 3) : String(Number(value.toPrecision(7)));
}

function save(name, text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
