#!/bin/sh
# Measures a folder of texts, which every node sees, on a Ray cluster, then sums up. One command:
#   TEXTS=/data/texts OUT=/data/scores RAY=10.0.0.1:6379 sh score.sh
# RAY=local takes the cores of this machine. Started again, it does only the parts that are not done.
set -eu
: "${TEXTS:?the folder of texts}" "${OUT:?the folder for scores}"
multiplex score "$TEXTS" --out "$OUT" --no-sentiment --ray "${RAY:-local}"
multiplex score merge "$OUT" --summary "$OUT/summary.json"
