#!/bin/sh
# Measures a folder of texts with an array of 64 tasks of one core, then sums up. One command:
#   TEXTS=/data/texts OUT=/data/scores sh score.sh
# Started again, also after tasks were killed, it does only the parts that are not done.
set -eu
: "${TEXTS:?the folder of texts}" "${OUT:?the folder for scores}"
tasks=${TASKS:-64}

array=$(sbatch --parsable --job-name=multiplex-score --array="1-$tasks" --cpus-per-task=1 --mem=3G --time=24:00:00 \
  --wrap "multiplex score '$TEXTS' --out '$OUT' --no-sentiment --shard \$SLURM_ARRAY_TASK_ID/$tasks")
sbatch --job-name=multiplex-merge --dependency="afterok:$array" --kill-on-invalid-dep=yes \
  --cpus-per-task=1 --mem=8G --time=12:00:00 \
  --wrap "multiplex score merge '$OUT' --summary '$OUT/summary.json'"
