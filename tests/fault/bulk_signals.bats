#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Signals and kill -9 at random moments of a run over ten guests: each guest is upgraded, or what it
# was. VGUEST_FAULT_ROUNDS rounds; 8 without it.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/packages

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program python3 dpkg-deb jq tar
  make_base_guest
  publish base 'exit 0' 1.0 2.0
  vapt-get -q base -- update
  vguest -q 'g[0-9]' build -m clone -- -s base
}

# What is in a guest, but for its logs: names, inodes, times and the contents of what is private.
image () {
  (
    cd "$VGUEST_ROOT/guests/$1" || exit
    find tree private -printf '%p %y %i %m %U:%G %s %T@ %l\n' | sort
    find private -type f -exec sha256sum {} + | sort
  ) | sha256sum
}

@test "SIGINT, SIGTERM and kill -9 at random moments of a run over ten guests" {
  local round guest signal pid ended wanted id
  local -A images
  id=$(sed -n 's/.*"id": *"\([0-9a-f]\{8\}\).*/\1/p' "$VGUEST_ROOT/root.json")
  for ((round = 0; round < ${VGUEST_FAULT_ROUNDS:-8}; round++)); do
    wanted=$((round % 2 ? 1 : 2)).0
    case $((round % 3)) in
      0) signal=INT ;;
      1) signal=TERM ;;
      2) signal=KILL ;;
    esac
    for guest in g{0..9}; do images[$guest]="$(version "$guest") $(image "$guest")"; done
    # In a background job SIGINT is ignored unless it is set back.
    env --default-signal=INT vapt-get --json --all --exclude base -- install --allow-downgrades \
      "vgtest=$wanted" >"$T/report" 2>"$T/err" 3>&- &
    pid=$!
    sleep "$((RANDOM % 5)).$(printf '%03d' $((RANDOM % 1000)))"
    kill "-$signal" "$pid" 2>/dev/null || true
    ended=0
    wait "$pid" || ended=$?
    # The next command of any kind repairs; it may wait until the rest of a killed run is gone.
    run --separate-stderr timeout 120 vexec --all --exclude base -- dpkg --audit
    assert_status 0
    [ -z "$output" ]
    for guest in g{0..9}; do
      [ -z "$(ls -A "$VGUEST_ROOT/guests/$guest/txn")" ]
      case $(version "$guest") in
        "${images[$guest]%% *}")
          [ "${images[$guest]}" = "$(version "$guest") $(image "$guest")" ] || {
            # An install of the same version changes no package, but what dpkg writes.
            [ "${images[$guest]%% *}" = "$wanted" ]
          }
          ;;
        "$wanted") ;;
        *)
          echo "$guest has version $(version "$guest") after round $round ($signal)"
          return 1
          ;;
      esac
      # What the report says is so.
      if [ "$signal" != KILL ] && [ -s "$T/report" ]; then
        case $(jq -r ".guests[] | select(.name == \"$guest\") | .result" "$T/report") in
          done) [ "$(version "$guest")" = "$wanted" ] ;;
          interrupted | skipped) [ "${images[$guest]%% *}" = "$(version "$guest")" ] ;;
        esac
      fi
    done
    echo "round $round: SIG$signal, status $ended, $(version g0) … $(version g9)"
    assert_nothing_left
    [ -z "$(find /sys/fs/cgroup -path "*/vguest/*-$id*" 2>/dev/null)" ]
    # Each round begins with the same version everywhere.
    run --separate-stderr vapt-get --all --exclude base -- install --allow-downgrades "vgtest=$wanted"
    [ "$status" = 0 ] || assert_status 4
  done
  check_root
}
