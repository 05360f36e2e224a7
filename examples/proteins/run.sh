#!/usr/bin/env bash
# A pipeline of two steps: the first finds out chunks, the second works on them. `stage` must be on the path.
#   run.sh WORK_DIR    (gets upstream and campaign)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "${1:?usage: run.sh WORK_DIR}"
work=$(cd "$1" && pwd)
say() { printf '\n$ %s\n' "$*"; "$@"; }

say stage repo create "$work/upstream" --universe "$here/universe.yaml"
say stage repo import "$work/upstream" "$here/records"
say stage repo register-dataset-type "$work/upstream" fasta Text library
printf 'library,path\nsmall,%s\n' "$here/proteins.fasta" > "$work/files.csv"
say stage repo ingest "$work/upstream" fasta --table "$work/files.csv" --run proteins/in

say stage clone "$work/upstream" "$work/campaign" -p "$here/pipeline.yaml" -i proteins/in
cd "$work/campaign"
say stage build
say stage run -j 2
say stage status
say stage get mass_table library=small
say stage push --register-dataset-types --chain proteins/masses
say python "$here/check.py" "$work"
