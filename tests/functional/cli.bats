#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The command line: help, versions, and the exit statuses of wrong usage.

load ../lib/common

@test "every program tells its version and its help" {
  for program in vguest vtemplate vstore; do
    run "$program" --version
    assert_status 0
    assert_contains "$output" "vguest "
  done
  for program in vguest vtemplate vhashify vstore vguest-stat vapt-get; do
    run "$program" --help
    assert_status 0
    assert_contains "$output" "Usage: $program"
  done
}

@test "wrong usage exits with status 2 and says what is wrong" {
  run vguest
  assert_status 2
  run vguest --nonsense x build
  assert_status 2
  assert_contains "$output" "--nonsense"
  run vguest x nonsense
  assert_status 2
  assert_contains "$output" "nonsense"
}
