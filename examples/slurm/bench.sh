#!/bin/sh
# Runs a benchmark with an array of 8 tasks, then joins their runs and reports. One command:
#   MODELS=NAME BASE_URL=http://gpu-node:8000/v1 RUNS=/data/runs sh bench.sh
# Started again, it continues every shard where it was, and joins and reports anew; do so where a task failed or was
# killed, since the report waits for all of them. For a survey write `survey run FILE` (without --strategies), `survey
# merge` and `survey report`.
set -eu
: "${MODELS:?the models, with commas}" "${BASE_URL:?their endpoint}" "${RUNS:?the folder for the runs}"
tasks=${TASKS:-8} name=${NAME:-joined}

array=$(sbatch --parsable --job-name=multiplex-bench --array="1-$tasks" --cpus-per-task=1 --mem=4G --time=24:00:00 \
  --wrap "multiplex bench run --models '$MODELS' --base-url '$BASE_URL' --strategies all --dir '$RUNS' --name part \
          --shard \$SLURM_ARRAY_TASK_ID/$tasks")
sbatch --job-name=multiplex-report --dependency="afterok:$array" --kill-on-invalid-dep=yes \
  --cpus-per-task=1 --mem=4G --time=1:00:00 \
  --wrap "cd '$RUNS' && multiplex bench merge part.*-of-$tasks --dir . --name '$name' && \
          multiplex bench report '$name' --dir ."
