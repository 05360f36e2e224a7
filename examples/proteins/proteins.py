"""Tasks on chunks of a file of proteins. The chunks are found out by another task, in the step before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stage import Input, Output, task

LIBRARY, CHUNK = ("library",), ("library", "chunk")

# Average masses of residues in daltons.
RESIDUES = {
    "G": 57.0519, "A": 71.0788, "S": 87.0782, "P": 97.1167, "V": 99.1326, "T": 101.1051, "C": 103.1388,
    "L": 113.1594, "I": 113.1594, "N": 114.1038, "D": 115.0886, "Q": 128.1307, "K": 128.1741, "E": 129.1155,
    "M": 131.1926, "H": 137.1411, "F": 147.1766, "R": 156.1875, "Y": 163.1760, "W": 186.2132,
}  # fmt: skip
WATER = 18.0153


@task(
    dimensions=CHUNK,
    inputs={"parts": Input("parts", "FileSet", dimensions=LIBRARY)},
    outputs={"masses": Output("masses", "Json")},
)
def weigh(parts: Any, data_id: dict[str, Any]) -> dict[str, float]:
    """Weigh the proteins of one chunk: accession to mass in daltons."""
    masses: dict[str, float] = {}
    for line in parts.text(f"chunk.{data_id['chunk']}.fasta").splitlines():
        if line.startswith(">"):
            accession = line[1:].split()[0]
            masses[accession] = WATER
        else:
            masses[accession] += sum(RESIDUES[letter] for letter in line.strip())
    return masses


@task(
    dimensions=LIBRARY,
    inputs={"masses": Input("masses", "Json", dimensions=CHUNK, multiple=True)},
    outputs={"table": Output("mass_table", "Text")},
)
def gather(masses: list[dict[str, float]], table: Path) -> None:
    """Write one table of all chunks, the lightest protein first; the file itself is written here."""
    rows = sorted((mass, name) for chunk in masses for name, mass in chunk.items())
    table.write_text("".join(f"{name} {mass:.1f}\n" for mass, name in rows))
