// What the page holds, and how its numbers are unpacked and written.
const page = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// The reverse of pydgd.report.packing: base64, gzip, byte planes of little-endian float32.
async function unpacked(text, nColumns) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const n = planes.length / 4;
  const words = new Uint32Array(n);
  for (let i = 0; i < n; i++) {
    words[i] = planes[i] | (planes[n + i] << 8) | (planes[2 * n + i] << 16) | (planes[3 * n + i] << 24);
  }
  const values = new Float32Array(words.buffer);
  const length = n / nColumns;
  return Array.from({ length: nColumns }, (_, k) => values.subarray(k * length, (k + 1) * length));
}

// A p-value from its common logarithm, also where a number would be 0.
function asP(log10, digits = 2) {
  if (Number.isNaN(log10)) return "";
  if (log10 > -3) return (10 ** log10).toPrecision(digits);
  let exponent = Math.floor(log10);
  let front = 10 ** (log10 - exponent);
  if (Number(front.toPrecision(digits)) === 10) [front, exponent] = [1, exponent + 1];
  return `${front.toPrecision(digits)}e${exponent}`;
}

function asReads(reads) {
  if (Number.isNaN(reads)) return "not measured";
  return reads >= 100 ? Math.round(reads).toLocaleString("en") : String(Number(reads.toPrecision(3)));
}

const asNumber = (value) => (Number.isNaN(value) ? "" : value.toFixed(2));
// Column by column: how a number is shown in the table.
const shown = [asReads, asReads, asNumber, asNumber, (p) => asP(p), (p) => asP(p)];
