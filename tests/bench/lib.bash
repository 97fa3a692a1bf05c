# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # dir, pairs: the caller's
# Timing, for the scripts here: $dir is a directory for notes, $pairs how many.

# us COMMAND…: runs it and sets $us to the microseconds that it took. Its output goes to a log that
# is shown when it fails.
us () {
  local start=${EPOCHREALTIME/./}
  if ! "$@" >"$dir/log" 2>&1; then
    echo "bench: failed: $*" >&2
    cat "$dir/log" >&2
    exit 1
  fi
  us=$((${EPOCHREALTIME/./} - start))
}

median () {
  sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# pair NAME A-LABEL A B-LABEL B AFTER: times the functions A and B in turn, prints the
# medians and the median of the ratios of the pairs.
pair () {
  local name=$1 label_a=$2 a=$3 label_b=$4 b=$5 after=$6 i a_us b_us
  : >"$dir/a"
  : >"$dir/b"
  : >"$dir/ratio"
  for ((i = 1; i <= pairs; i++)); do
    # Each goes first as often as the other.
    if ((i % 2)); then
      us "$a" "$i"
      a_us=$us
      us "$b" "$i"
      b_us=$us
    else
      us "$b" "$i"
      b_us=$us
      us "$a" "$i"
      a_us=$us
    fi
    echo "$a_us" >>"$dir/a"
    echo "$b_us" >>"$dir/b"
    awk -v a="$a_us" -v b="$b_us" 'BEGIN { printf "%.4f\n", a / b }' >>"$dir/ratio"
    "$after" "$i" >/dev/null 2>&1
    sync -f "$dir"
  done
  row "$name" "$label_a" "$(median <"$dir/a")" "$label_b" "$(median <"$dir/b")" \
    "$(median <"$dir/ratio")"
}

row () {
  printf '| %s | %s | %.1f ms | %s | %.1f ms | %.2f |\n' "$1" "$2" \
    "$(awk -v us="$3" 'BEGIN { print us / 1000 }')" "$4" \
    "$(awk -v us="$5" 'BEGIN { print us / 1000 }')" "$6"
}
