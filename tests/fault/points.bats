#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sample of the points at which the sweep stops operations, or lets calls fail; `make check-faults`
# tries all of them. VGUEST_FAULT_SEED is the seed of the sample, 1 without it.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  FAULT_AT=${CHECK_ROOT%/lib/*}/fault/fault-at
}

teardown () {
  end_guests
  common_teardown
}

# sweep POINTS OPERATION…
sweep () {
  local points=$1
  shift
  run "$TESTS_DIR/fault/sweep" --seed "${VGUEST_FAULT_SEED:-1}" --points "$points" "$@" 3>&-
  [ "$status" != 77 ] || skip "$output"
  printf '# %s\n' "${lines[@]}" >&3
  assert_status 0
}

@test "templates: import, update, delete" {
  sweep 80 import import_dir update template_delete
}

@test "guests: clone, replace, delete, rename" {
  sweep 80 clone clone_guest replace delete rename
}

@test "layers: commit, fold, unify, gc, rollback" {
  sweep 80 commit fold unify gc rollback
}

@test "a signal when the container is being taken away: the command says it was interrupted" {
  local call
  skip_unless_runtime
  make_tools_guests web1
  # The first one also folds what the build left.
  vguest web1 exec -- true
  "$FAULT_AT" --list --report "$T/calls" -- vguest web1 exec -- true
  grep 'unlinkat .* web1-' "$T/calls" | cut -d ' ' -f 1 | head -n 6 >"$T/points"
  [ -s "$T/points" ]
  while read -r call; do
    run "$FAULT_AT" --at "$call" --signal 15 -- vguest web1 exec -- true
    echo "call $call: status $status: $output"
    [ "$status" = 0 ] || assert_contains "$output" "interrupted"
  done <"$T/points"
}
