#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# A sample of what a loss of power might leave, on ext4 and XFS; `make check-faults` tries more.
# VGUEST_FAULT_SEED is the seed of the sample; it is printed.

bats_require_minimum_version 1.5.0
load ../lib/common

# lose FS POINTS OPERATION…
lose () {
  local fs=$1 points=$2
  shift 2
  run "$TESTS_DIR/fault/powerloss" ${VGUEST_FAULT_SEED:+--seed "$VGUEST_FAULT_SEED"} --fs "$fs" \
    --points "$points" "$@" 3>&-
  [ "$status" != 77 ] || skip "$output"
  printf '# %s\n' "${lines[@]}" >&3
  assert_status 0
}

@test "power is lost on ext4" {
  skip_unless_program mkfs.ext4
  lose ext4 40 import clone commit fold rename
}

@test "power is lost on XFS" {
  skip_unless_program mkfs.xfs
  lose xfs 16 clone fold
}
