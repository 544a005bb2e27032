#!/bin/bash
# sbatch slurm.sh PICTURES WEIGHTS RESULTS [OPTIONS...]
#
# Eight parts, a GPU each. Then: sbatch --dependency=afterany:JOB --wrap "gradcam merge RESULTS"
# To run a few tasks of the array again, name the whole one's parts, which a smaller array cannot know:
# sbatch --array=3,5 --export=ALL,PARTS=8 slurm.sh ...
#SBATCH --job-name=gradcam
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --gpus-per-task=1
#SBATCH --mem=8G
#SBATCH --requeue
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: sbatch slurm.sh PICTURES WEIGHTS RESULTS [OPTIONS...]" >&2
    exit 2
fi
pictures=$1 weights=$2 results=$3
shift 3
shard=slurm
if [ -n "${PARTS:-}" ]; then
    shard=$SLURM_ARRAY_TASK_ID/$PARTS
fi
exec gradcam "$pictures" --weights "$weights" --recursive --out-dir "$results" --shard "$shard" --resume "$@"
