# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash disable=SC2034,SC2154
# How the state root is judged after a fault, for the sweep and for the loss of power; behind
# common.bash and operations.bash. An operation is tried again and again from the same state root,
# $T/start; what guests and templates are before and after it is in $T/before and $T/after.

# bats has its own.
if [ "$(type -t skip)" != function ]; then
  skip () {
    echo "$1"
    exit 77
  }
fi

die () {
  echo "${0##*/}: $1" >&2
  exit 2
}

table=''
add_row () {
  table+=$(printf '%-16s %6s %7s %7s %9s %10s %8s' "$@")$'\n'
}

# Where everything happens: $T and $VGUEST_ROOT in it.
begin_faults () {
  common_setup
  trap common_teardown EXIT
  trap 'exit 130' INT TERM HUP
  skip_unless_overlay
  skip_unless_program setfattr setfacl setcap tar
}

# What is stopped at calls needs no disk: in memory nothing waits for what others write to it.
use_memory () {
  mount -t tmpfs -o size=1g,mode=0700 vguest-faults "$T" || return 0
  touch "$T/file"
  if setfattr -n user.probe -v 1 "$T/file" 2>/dev/null; then
    (skip_unless_overlay) >/dev/null && return 0
  fi
  umount "$T"
}

begin_operation () {
  begin=$SECONDS violations=0 unsound=0 point=prepare where='' last_wrong=''
}

# possible NAME: can the operation run here?
possible () {
  [ "$(type -t "prepare_$1")" = function ] || die "no operation $1"
  case $1 in
    commit | rollback)
      command -v crun >/dev/null || command -v runc >/dev/null || {
        echo "$1: skipped, needs crun or runc"
        return 1
      } ;;
  esac
}

# set_command NAME: COMMAND and AGAIN of an operation.
set_command () {
  AGAIN=(unset)
  "command_$1"
  [ "${AGAIN[*]}" != unset ] || AGAIN=("${COMMAND[@]}")
}

# A copy of the state root as the operation finds it.
start_again () {
  rm -rf --one-file-system "$VGUEST_ROOT"
  cp -a "$T/start" "$VGUEST_ROOT"
}

views () {
  "$CHECK_ROOT" --views "$VGUEST_ROOT"
}

# Lines that differ by their mtime alone in two runs of the operation: that is the time it was run.
make_masks () {
  echo mtime >"$T/masks"
  awk 'function bare (line) { sub(/ mtime=[-0-9.]+/, "", line); return line }
    NR == FNR { seen[$0]; bare_seen[bare($0)]; next }
    !($0 in seen) {
      if (!(bare($0) in bare_seen)) { print "differs: " $0 >"/dev/stderr"; bad = 1 }
      print bare($0)
    }
    END { exit bad }' "$T/after" "$T/after.2" >>"$T/masks"
}

# judge FILE: is each unit, a guest or a generation of a template, as before or as after the
# operation? Prints "before", "after", "mixed" when some are the one and some the other, or "same"
# when there is no difference; and a line for each that is neither.
judge () {
  awk 'function masked (line, bare) {
      bare = line
      sub(/ mtime=[-0-9.]+/, "", bare)
      return bare in masks ? bare : line
    }
    FNR == 1 { file++ }
    file == 1 { masks[$0]; next }
    {
      unit = substr($0, 1, index($0, ": ") - 1)
      units[unit]
      text[file, unit] = text[file, unit] "\n" masked($0)
    }
    END {
      for (unit in units) {
        before = text[4, unit] == text[2, unit]
        after = text[4, unit] == text[3, unit]
        if (!before && !after)
          bad = bad "\n" unit " is neither as before nor as after"
        some_before += before && !after
        some_after += after && !before
      }
      print (some_before && some_after ? "mixed" : some_before ? "before" : \
        some_after ? "after" : "same") bad
    }' "$T/masks" "$T/before" "$T/after" "$1"
}

# What must not change when there is nothing to do: every inode below the root, but for locks, the
# notes of those who hold them, and the directories that hold what comes and goes.
inodes () {
  (cd "$VGUEST_ROOT" && find store templates guests \( -name lock -o -name updating -o -name txn -o \
    -name work \) -prune -o -printf '%p %i %C@ %n\n' | sort)
}

wrong () {
  violations=$((violations + 1))
  [ "$last_wrong" = "$point" ] || unsound=$((unsound + 1))
  last_wrong=$point
  echo "$operation, $point${where:+ ($where)}: $1"
  [ -z "$keep" ] || {
    trap - EXIT
    echo "kept: $T"
    exit 1
  }
}

# The sanitizers end a program with a report and a status like any other.
check_reports () {
  if grep -q -E 'Sanitizer|runtime error:' "$1"; then wrong "$(head -n 30 "$1")"; fi
}

# check_left TEXT: nothing is left to be recovered.
check_left () {
  "$CHECK_ROOT" "$VGUEST_ROOT" 2>&1 | grep 'left over' >"$T/check"
  [ ! -s "$T/check" ] || wrong "$1: $(cat "$T/check")"
}

# check_root_now TEXT: all is as it must be while no command runs.
check_root_now () {
  "$CHECK_ROOT" "$VGUEST_ROOT" >"$T/check" 2>&1 || wrong "$1: $(cat "$T/check")"
  local run
  run=$(find "/run/vguest/@$root_id" -mindepth 1 -maxdepth 1 ! -name '.*' 2>/dev/null)
  [ -z "$run" ] || wrong "$1: left in the run directory: $run"
  if [ "$(type -t "verify_$operation")" = function ]; then
    run=$("verify_$operation")
    [ -z "$run" ] || wrong "$1: $run"
  fi
}

# recover: the next command of any kind.
recover () {
  vhashify -q --all >"$T/recover.out" 2>&1 ||
    wrong "recovery ended with status $?: $(cat "$T/recover.out")"
  check_reports "$T/recover.out"
}

# unit_changes UNIT: how it differs from before and from after.
unit_changes () {
  local file
  for file in before after; do
    echo "  now (>) and $file (<):"
    diff <(grep "^$1: " "$T/$file") <(grep "^$1: " "$T/now") | grep '^[<>]' | head -n 6
  done
}

# look_at TEXT: sets $state.
look_at () {
  local line
  views >"$T/now" 2>"$T/now.err" || wrong "$1: $(cat "$T/now.err")"
  state=$(judge "$T/now")
  while read -r line; do
    wrong "$1: $line"$'\n'"$(unit_changes "${line%% *}")"
  done < <(sed 1d <<<"$state")
  state=${state%%$'\n'*}
}

# do_it_again: the operation once more, which recovers as any command does that has to do with the
# same guests and templates; one that has found nothing to do with them is followed by another one.
do_it_again () {
  if [ "${#AGAIN[@]}" -gt 0 ]; then
    "${AGAIN[@]}" >"$T/out" 2>&1 || recover
    check_reports "$T/out"
  fi
  look_at "after doing it again"
}

# Everything is as it must be in the end.
check_done () {
  case $state in
    after | same) ;;
    *) [ "${#AGAIN[@]}" = 0 ] || wrong "it cannot be done again: $(cat "$T/out")" ;;
  esac
  check_root_now "in the end"
}

# prepare [WRAPPER…]: makes $T/start, $T/before and $T/after for $operation, which is run twice, the
# second time by WRAPPER.
prepare () {
  rm -rf --one-file-system "$VGUEST_ROOT" "$T/start" "$T/source"
  # Not behind || or in a condition: there errors would not end it.
  (
    set -e
    "prepare_$operation"
  ) >"$T/out" 2>&1
  # shellcheck disable=SC2181
  [ $? = 0 ] || die "prepare $operation: $(cat "$T/out")"
  set_command "$operation"
  root_id=$(sed -n 's/.*"id": *"\([0-9a-f]*\)".*/\1/p' "$VGUEST_ROOT/root.json")
  mv "$VGUEST_ROOT" "$T/start"
  start_again
  views >"$T/before" || die "$operation: views"
  "${COMMAND[@]}" >"$T/out" 2>&1 || die "$operation: $(cat "$T/out")"
  views >"$T/after"
  start_again
  "$@" "${COMMAND[@]}" >"$T/out" 2>&1 || die "$operation, the second time: $(cat "$T/out")"
  views >"$T/after.2"
  make_masks || die "$operation does not do the same twice"
}
