#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sample of the points at which the sweep stops operations, or lets calls fail; `make check-faults`
# tries all of them. VGUEST_FAULT_SEED is the seed of the sample, 1 without it.

bats_require_minimum_version 1.5.0
load ../lib/common

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
