# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2154 # top, json: set by corpora, which reads this
# Rows of the tables of corpora. $top/NAME has a line for each run of NAME: microseconds, of
# processor, KiB at the peak.

median () {
  sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}
time_of () {
  cut -d' ' -f1 "$top/$1" | median
}
peak_of () {
  cut -d' ' -f3 "$top/$1" | median
}
# calc EXPRESSION NAME=VALUE…: prints what awk makes of it.
calc () {
  local expression=$1 settings=() setting
  shift
  for setting in "$@"; do
    settings+=(-v "$setting")
  done
  awk "${settings[@]}" "BEGIN { print $expression }"
}

header () {
  echo
  echo "| part | vguest | time | peak | peer | time | peak | ratio | |"
  echo "|---|---|---|---|---|---|---|---|---|"
}

# verdict VALUE TARGET: "target 0.45: missed, 0.55"; nothing for the target "-".
verdict () {
  [ "$2" = - ] || calc 'sprintf ("target %s: %s, %.3g", t, v <= t ? "met" : "missed", v)' "v=$1" "t=$2"
}
# note_json KEY=VALUE…: a line; values that are no numbers become strings.
note_json () {
  local pair value line=
  for pair in "$@"; do
    value=${pair#*=}
    [[ $value =~ ^-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?$ ]] || value="\"${value//[\"\\]/}\""
    line+="${line:+,}\"${pair%%=*}\":$value"
  done
  echo "{$line}" >>"$json"
}

# compare PART VGUEST PEER TARGET: a row with medians, and the median of the ratios of the runs;
# TARGET is the greatest ratio, or "-".
compare () {
  local a b a_peak b_peak ratio told count
  a=$(time_of "$2")
  b=$(time_of "$3")
  a_peak=$(peak_of "$2")
  b_peak=$(peak_of "$3")
  count=$(wc -l <"$top/$2")
  if [ "$count" = "$(wc -l <"$top/$3")" ]; then
    ratio=$(paste -d' ' "$top/$2" "$top/$3" | awk '{ print $1 / $4 }' | median)
  else
    count=$(wc -l <"$top/$3")
    ratio=$(calc 'a / b' "a=$a" "b=$b")
  fi
  told=$(verdict "$ratio" "$4")
  # Fewer runs than all the others have: this must be said.
  [ "$count" = "$runs" ] || told+="${told:+; }runs: $count"
  printf '| %s | %s | %.1f ms | %.1f MiB | %s | %.1f ms | %.1f MiB | %.2f | %s |\n' "$1" "$2" \
    "$(calc 'a / 1000' "a=$a")" "$(calc 'a / 1024' "a=$a_peak")" "$3" "$(calc 'a / 1000' "a=$b")" \
    "$(calc 'a / 1024' "a=$b_peak")" "$ratio" "$told"
  note_json "part=$1" "vguest=$2" "us=$a" "peak_kib=$a_peak" "peer=$3" "peer_us=$b" \
    "peer_peak_kib=$b_peak" "ratio=$ratio" "target=$4" "runs=$count" "result=$told"
}

# memory PART VGUEST PEER…: peaks, against the leanest of those peers that keep a list of files.
memory () {
  local part=$1 ours=$2 peer leanest='' least=0 peak ratio told
  shift 2
  for peer in "$@"; do
    peak=$(peak_of "$peer")
    if [ -z "$leanest" ] || ((${peak%.*} < least)); then
      leanest=$peer
      least=${peak%.*}
    fi
  done
  [ -n "$leanest" ] || return 0
  peak=$(peak_of "$ours")
  ratio=$(calc 'a / b' "a=$peak" "b=$least")
  told=$(verdict "$ratio" 0.5)
  printf '| %s: memory | %s | | %.1f MiB | %s, the leanest | | %.1f MiB | %.2f | %s |\n' "$part" "$ours" \
    "$(calc 'a / 1024' "a=$peak")" "$leanest" "$(calc 'a / 1024' "a=$least")" "$ratio" "$told"
  note_json "part=$part memory" "vguest=$ours" "peak_kib=$peak" "peer=$leanest" \
    "peer_peak_kib=$least" "ratio=$ratio" "target=0.5" "result=$told"
}

# at_most LABEL VALUE UNIT TARGET: a row with one value.
at_most () {
  local told
  told=$(verdict "$2" "$4")
  printf '| %s | | %.1f %s | | | | | | %s |\n' "$1" "$2" "$3" "$told"
  note_json "part=$1" "value=$2" "unit=$3" "target=$4" "result=$told"
}

# growth LABEL TARGET NAME=COUNT…: what each of so many files, or guests, takes; and the ratio of the
# last to the first.
growth () {
  local label=$1 target=$2 one each costs=() told ratio
  shift 2
  for one in "$@"; do
    each=$(calc 'us / n' "us=$(time_of "${one%=*}")" "n=${one#*=}")
    costs+=("$each")
  done
  ratio=$(calc 'b / a' "a=${costs[0]}" "b=${costs[-1]}")
  told=$(verdict "$ratio" "$target")
  printf '| %s |' "$label"
  printf ' %.2f µs |' "${costs[@]}"
  printf ' %.2f | %s |\n' "$ratio" "$told"
  note_json "part=$label" "us_each=${costs[*]}" "counts=${*#*=}" "ratio=$ratio" "target=$target" \
    "result=$told"
}

# memory_each LABEL TARGET NAME=COUNT NAME=COUNT: bytes that each file more adds to the peak.
memory_each () {
  local each told
  each=$(calc '(b - a) * 1024 / (m - n)' "a=$(peak_of "${3%=*}")" "b=$(peak_of "${4%=*}")" \
    "n=${3#*=}" "m=${4#*=}")
  told=$(verdict "$each" "$2")
  printf '%s: %.1f MiB at %d files, %.1f MiB at %d: %.0f bytes for each file more; %s\n' "$1" \
    "$(calc 'a / 1024' "a=$(peak_of "${3%=*}")")" "${3#*=}" \
    "$(calc 'a / 1024' "a=$(peak_of "${4%=*}")")" "${4#*=}" "$each" "$told"
  note_json "part=$1" "bytes_each=$each" "target=$2" "result=$told"
}

# refuse WHY: what follows says nothing, or a promise is broken; the run goes on, and fails at its end.
refused=''
refuse () {
  echo "bench: $1" >&2
  printf '| %s | REFUSED |\n' "${1%%:*}"
  note_json "part=${1%%:*}" "result=refused: $1"
  # shellcheck disable=SC2034 # for corpora
  refused=yes
}
