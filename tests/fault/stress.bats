#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Eight processes do random operations on 20 guests; ten minutes of it are in `make check-faults`.

bats_require_minimum_version 1.5.0
load ../lib/common

@test "30 s of random operations by 8 processes: all is consistent, no data differs" {
  run "$TESTS_DIR/fault/stress" --seconds "${VGUEST_STRESS_SECONDS:-30}" \
    ${VGUEST_FAULT_SEED:+--seed "$VGUEST_FAULT_SEED"} 3>&-
  [ "$status" != 77 ] || skip "$output"
  printf '# %s\n' "${lines[@]}" >&3
  assert_status 0
}
