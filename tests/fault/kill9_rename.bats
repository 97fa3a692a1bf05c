#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 while a guest is renamed: it has one of the names, and is whole.

bats_require_minimum_version 1.5.0
load ../lib/common

SHOTS=${VGUEST_KILL_SHOTS:-20}

now_us () {
  echo "${EPOCHREALTIME/./}"
}

# The host name that the guest's own files and its settings tell, one word when they agree.
told () {
  local dir=$VGUEST_ROOT/guests/$1
  {
    cat "$dir/private/etc/hostname"
    awk '$1 == "127.0.1.1" { print $2 }' "$dir/private/etc/hosts"
    jq -r .hostname "$dir/config.json"
    jq -r '.depends[0]' "$VGUEST_ROOT/guests/dep/config.json"
  } | sort -u
}

rest_of () {
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/$1" | grep -v -e '^etc ' -e '^etc/host'
}

# Sets up web1, on which dep depends, and another guest.
make_guests () {
  skip_unless_overlay
  skip_unless_program jq
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1,dep,other build -m clone -- -s small
  vguest -q dep set depends=web1
  rest_of web1 >"$T/rest"
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" >"$T/other"
}

# look OLD NEW: the guest has one of these names; the next command finishes what is to be done.
# Sets $now.
look () {
  now=$(cd "$VGUEST_ROOT/guests" && echo web*)
  [ "$now" = "$1" ] || [ "$now" = "$2" ]
  if [ -e "$VGUEST_ROOT/guests/$now/rename.json" ]; then between=$((between + 1)); fi
  vguest -q "$now" set pids=$((100 + RANDOM % 100))
  [ "$(told "$now")" = "$now" ]
  [ ! -e "$VGUEST_ROOT/guests/$now/rename.json" ]
  [ -z "$(ls -A "$VGUEST_ROOT/guests/$now/txn")" ]
  rest_of "$now" | diff "$T/rest" -
  check_root
  assert_nothing_left
}

@test "kill -9 while a guest is renamed: one name, and all of it" {
  local shot start took old=web0 now between=0 renamed=0
  make_guests
  start=$(now_us)
  vguest -q web1 rename web0
  took=$(($(now_us) - start))
  for ((shot = 1; shot <= SHOTS; shot++)); do
    # Most of the time goes by before the first step.
    # shellcheck disable=SC2016
    bash -c 'vguest -q "$1" rename "$2" & sleep "$3"; kill -9 $!; wait' bash "$old" "web$shot" \
      "$(printf '0.%06d' $((took / 3 + RANDOM * 32 % took)))" 2>/dev/null || true
    look "$old" "web$shot"
    [ "$now" = "$old" ] || renamed=$((renamed + 1))
    old=$now
  done
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" | diff "$T/other" -
  echo "# $renamed of $SHOTS were renamed, $between killed in between" >&3
}

@test "kill -9 at each call of a rename that changes something" {
  local call n shot=1 old=web1 now between=0
  skip_unless_program strace
  make_guests
  for call in renameat,rename renameat2 fsync unlinkat; do
    for ((n = 1;; n++)); do
      shot=$((shot + 1))
      if strace -qq -o "$T/trace" -e trace="$call" -e inject="$call:signal=KILL:when=$n" \
        vguest -q "$old" rename "web$shot" 2>/dev/null; then
        break
      fi
      grep -q -e "killed by SIGKILL" "$T/trace" || skip "strace cannot inject signals here"
      look "$old" "web$shot"
      old=$now
    done
    look "$old" "web$shot"
    [ "$now" = "web$shot" ]
    old=$now
  done
  [ "$between" -gt 5 ]
  "$CHECK_ROOT" --view "$VGUEST_ROOT/guests/other" | diff "$T/other" -
  echo "# $((shot - 1)) calls, $between killed in between" >&3
}
