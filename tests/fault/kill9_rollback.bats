#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# kill -9 while a transaction that can be undone is committed, and while it is rolled back: the guest
# is as before or as after, its history says which, and the way back is whole.
# tests/model/model_crash stops at each single call.

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

SHOTS=${VGUEST_KILL_SHOTS:-20}

now_ms () {
  local us=${EPOCHREALTIME/./}
  echo "${us%???}"
}

# shoot COMMAND…: kills it -9 at some time in the $took ms that it takes; the next command repairs.
shoot () {
  local ms=$((RANDOM % (took + 1)))
  "$@" >/dev/null 2>&1 3>&- &
  sleep "$(printf '%d.%03d' $((ms / 1000)) $((ms % 1000)))"
  kill -9 $! 2>/dev/null || true
  wait $! 2>/dev/null || true
  wait_for timeout 20 vguest -q web1 exec --discard -- true
  [ -z "$(ls -A "$VGUEST_ROOT/guests/web1/txn")" ]
}

# What changes into what, and back.
# shellcheck disable=SC2016
script='
  for i in 01 02 03 04 05 06 07 08; do
    echo "$0" >/usr/lib/new
    mv -f /usr/lib/new /usr/lib/lib$i.so
  done
  rm -rf /usr/lib/deep /srv/turns
  mkdir /usr/lib/deep
  echo "$0" >/usr/lib/deep/file
  ln -f /usr/lib/lib07.so /usr/lib/partner
  mv /usr/share/doc /usr/share/docs
  echo "$0" >/home/user/data
  chmod 0700 /etc
  rm /usr/bin/tool'

# The newest transaction, and whether it can be undone.
newest () {
  vguest web1 history --json | jq -c '.guests[0].transactions | map([.id, .undo, .undoes]) | last'
}

@test "kill -9 in transactions that can be undone, and in rollbacks" {
  local shot start took=1000 state=before want id
  skip_unless_runtime
  skip_unless_program jq
  make_tools_guests web1,web2
  view web1 >"$T/before"
  view web2 >"$T/other"
  start=$(now_ms)
  vguest -q web1 exec -- sh -euc "$script" after
  took=$(($(now_ms) - start))
  view web1 >"$T/after"
  vguest -q web1 rollback --yes
  diff "$T/before" <(view web1)
  start=$(now_ms)
  vguest -q web1 rollback --yes
  diff "$T/after" <(view web1)
  state=after
  [ "$(($(now_ms) - start))" -lt "$took" ] || took=$(($(now_ms) - start))
  for ((shot = 1; shot <= SHOTS; shot++)); do
    id=$(newest)
    shoot vguest -q web1 rollback --yes
    view web1 >"$T/now"
    want=$state
    # The history tells: there is a new one exactly when the guest is the other.
    if [ "$(newest)" != "$id" ]; then
      want=$([ "$state" = before ] && echo after || echo before)
    fi
    diff "$T/$want" "$T/now"
    state=$want
    jq -e '.[1]' <(newest) >/dev/null
    check_root
  done

  # Commits of commands, from before to after.
  [ "$state" = before ] || vguest -q web1 rollback --yes
  for ((shot = 1; shot <= SHOTS / 2; shot++)); do
    id=$(newest)
    shoot vguest -q web1 exec -- sh -euc "$script" after
    if [ "$(newest)" = "$id" ]; then
      diff "$T/before" <(view web1)
      continue
    fi
    rest () { grep -v -e '^etc ' -e '^usr' -e '^home' -e '^srv ' "$1"; }
    diff <(rest "$T/after") <(view web1 >"$T/now"; rest "$T/now")
    check_root
    vguest -q web1 rollback --yes
    diff "$T/before" <(view web1)
  done
  diff "$T/other" <(view web2)
  check_root
  assert_nothing_left
}
