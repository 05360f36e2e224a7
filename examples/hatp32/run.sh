#!/usr/bin/env bash
# A campaign on 48 raw frames of one night, by `stage` commands alone; `stage` must be on the path (source .venv/bin/activate).
#   run.sh DATA_DIR WORK_DIR    (DATA_DIR holds HATP-32*.FITS.gz; WORK_DIR gets upstream, campaign and report)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "${1:?usage: run.sh DATA_DIR WORK_DIR}" && pwd)
mkdir -p "${2:?usage: run.sh DATA_DIR WORK_DIR}"
work=$(cd "$2" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
say() { printf '\n$ %s\n' "$*"; "$@"; }

say stage repo create "$work/upstream"
say stage repo import "$work/upstream" "$here/records"
say stage repo register-dataset-type "$work/upstream" raw FitsImage instrument exposure detector
say stage repo register-dataset-type "$work/upstream" sky_grid Json skymap
say stage repo ingest "$work/upstream" raw "$data"/HATP-32*.FITS.gz --run MicroObs/raw \
    --describe hatp32:describe --mode direct
say stage repo ingest "$work/upstream" sky_grid "$here/sky_grid.json" --run skymaps --data-id skymap=hatp32

say stage clone "$work/upstream" "$work/campaign" -p "$here/pipeline.yaml" -i MicroObs/raw,skymaps \
    -d "instrument = 'MicroObs' AND skymap = 'hatp32'"
cd "$work/campaign"
say stage status
say stage run -j 2
say stage query collections --repo "$work/upstream"
say stage push --dry-run --register-dataset-types
say stage push --register-dataset-types --chain MicroObs/coadds
say stage push
say stage report --html "$work/report.html"
say python "$here/check.py" "$work"
