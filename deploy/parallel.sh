#!/bin/bash
# parallel.sh PARTS PICTURES WEIGHTS RESULTS [OPTIONS...]
#
# PARTS runs side by side; with PARALLEL='--sshlogin host1,host2' on other machines that see the same folders.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: parallel.sh PARTS PICTURES WEIGHTS RESULTS [OPTIONS...]" >&2
    exit 2
fi
parts=$1 pictures=$2 weights=$3 results=$4
shift 4
# A part in which a picture fails ends with 1: the whole is judged by merge.
seq "$parts" | parallel --jobs "$parts" --quote \
    gradcam "$pictures" --weights "$weights" --recursive --out-dir "$results" --shard "{}/$parts" --resume "$@" || true
gradcam merge "$results"
