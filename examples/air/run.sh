#!/usr/bin/env bash
# A campaign with a universe of its own, by `stage` commands alone; `stage` must be on the path (source .venv/bin/activate).
#   run.sh DATA_DIR WORK_DIR    (DATA_DIR holds PRSA_Data_*.csv.gz; WORK_DIR gets upstream, campaign and report)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
data=$(cd "${1:?usage: run.sh DATA_DIR WORK_DIR}" && pwd)
mkdir -p "${2:?usage: run.sh DATA_DIR WORK_DIR}"
work=$(cd "$2" && pwd)
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"
say() { printf '\n$ %s\n' "$*"; "$@"; }

say stage repo create "$work/upstream" --universe "$here/universe.yaml"
say stage repo import "$work/upstream" "$here/records"
say stage repo register-dataset-type "$work/upstream" hourly Bytes station
say stage repo ingest "$work/upstream" hourly "$data"/PRSA_Data_*.csv.gz --run air/hourly \
    --describe air:describe --mode direct

say stage clone "$work/upstream" "$work/campaign" -p "$here/pipeline.yaml" -i air/hourly
cd "$work/campaign"
say stage run -j 2
say stage query collections --repo "$work/upstream"
say stage push --dry-run --register-dataset-types
say stage push --register-dataset-types --chain air/summaries
say stage get city_text
say stage report --html "$work/report.html"
say python "$here/check.py" "$work"
