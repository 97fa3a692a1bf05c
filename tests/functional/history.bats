#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What is kept of transactions: history, rollback, and the layers of those that failed.

# Guests' scripts are in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq
  G=$VGUEST_ROOT/guests
}

teardown () {
  tmux -L "vguest-$BATS_TEST_NUMBER" kill-server 2>/dev/null || true
  common_teardown
}

# Changes of every kind, with a number that is seen in them.
change () {
  vguest -q web1 exec -- sh -euc '
    echo "$0" >/etc/motd
    echo "$0" >/home/user/data
    echo "$0" >>/usr/lib/lib01.so
    rm -f /usr/lib/lib02.so
    chmod 0600 /usr/lib/lib03.so
    ln -f /usr/lib/lib04.so "/usr/lib/partner-$0"
    mv /usr/share/doc /usr/share/doc.new
    mv /usr/share/doc.new "/usr/share/doc"
    rm -rf /usr/lib/deep
    mkdir -p /usr/lib/deep
    echo "$0" >/usr/lib/deep/file
    rm -f /usr/bin/tool-hardlink
    ln -sfn "$0" /usr/bin/tool-symlink' "$1"
}

@test "a transaction can be rolled back, and the rollback as well" {
  local before after
  make_tools_guests web1,web2
  before=$(view web1)
  objects=$(store_sums | sort)
  change 1
  after=$(view web1)
  other=$(view web2)
  [ "$before" != "$after" ]
  run vguest web1 history
  assert_status 0
  assert_contains "${lines[0]}" "COMMAND"
  assert_contains "${lines[1]}" "exec sh -euc"
  assert_contains "${lines[1]}" " yes"
  check_root

  run vguest web1 rollback --yes
  assert_status 0
  assert_contains "$output" "web1: undone: 1 (exec sh -euc"
  diff <(echo "$before") <(view web1)
  check_root
  [ "$(entries web1 '[.id, .undo, .rolled_back_by, .undoes]')" = '[[1,false,2,null],[2,true,null,1]]' ]

  vguest -q web1 rollback --yes
  diff <(echo "$after") <(view web1)
  check_root
  vguest -q web1 rollback --yes
  diff <(echo "$before") <(view web1)

  # Nobody else saw anything, and what is shared is shared again.
  diff <(echo "$other") <(view web2)
  [ -z "$(comm -23 <(echo "$objects") <(store_sums | sort))" ]
  for file in usr/lib/lib01.so usr/lib/lib02.so usr/lib/deep/er/big1; do
    same_inode "$G"/web[12]/tree/$file
  done
  check_root
  assert_nothing_left
}

@test "several transactions are undone one after the other, as many as are kept" {
  make_tools_guests web1
  vguest -q web1 set keep_transactions=3
  view web1 >"$T/0"
  for i in 1 2 3; do
    change $i
    view web1 >"$T/$i"
  done
  [ "$(find "$G/web1/history" -name undo | wc -l)" = 3 ]
  run vguest web1 rollback 4 --yes
  assert_status 2
  assert_contains "$output" "guest web1 has no transaction 4"
  run vguest --json web1 rollback 2 --yes
  assert_status 0
  [ "$(json '.guests[0] | [.undone, .transactions, .error] | @json')" = '[[3,2],[4,5],null]' ]
  diff "$T/1" <(view web1)
  check_root
  run vguest web1 rollback 2 --yes
  assert_status 4
  assert_contains "$output" "guest web1 is as it was before transaction 2 already"
  # Through the rollbacks themselves, which do again what they undid.
  vguest -q web1 rollback 4 --yes
  diff "$T/3" <(view web1)
  vguest -q web1 rollback --yes
  vguest -q web1 rollback 6 --yes
  diff "$T/1" <(view web1)
  check_root

  # With one that is kept the first cannot be reached.
  vguest -q web1 set keep_transactions=1
  change 9
  [ "$(find "$G/web1/history" -name undo | wc -l)" = 1 ]
  run vguest web1 rollback 1 --yes
  assert_status 1
  assert_contains "$output" "cannot be undone: what undoes it is not kept any more, see keep_transactions"
  [ "$(entries web1 'select(.undo) | .id')" = "[$(entries web1 .id | jq max)]" ]
  vguest -q web1 rollback --yes
  diff "$T/1" <(view web1)
  vguest -q web1 set keep_transactions=0
  change 10
  run vguest web1 rollback --yes
  assert_status 4
  assert_contains "$output" "guest web1 has no transaction that can be undone"
  [ -z "$(find "$G/web1/history" -name undo)" ]
  check_root
}

@test "what the transaction did not touch stays as it is since" {
  make_tools_guests web1
  vguest -q web1 exec -- sh -euc 'echo new >/etc/motd; echo new >/srv/file; echo log >/var/log/messages'
  # As the guest itself, when it runs.
  mkdir -p "$T/merged"
  unshare --mount bash -ec '
    mount -t overlay overlay -o "lowerdir=$1/tree,upperdir=$1/private,workdir=$1/work" \
      -o index=off,nfs_export=off,metacopy=on,redirect_dir=on,xino=auto "$2"
    echo since >>"$2/var/log/messages"
    echo since >"$2/etc/since"
    chmod 0700 "$2/srv"
    umount "$2"' bash "$G/web1" "$T/merged"
  vhashify -q web1
  run vguest web1 rollback --dry-run
  assert_status 0
  [ "${lines[1]}" = "  remove   /etc/motd" ]
  [ "${lines[2]}" = "  remove   /srv/file" ]
  [ "${lines[3]}" = "  revert   /var/log/messages" ]
  [ ${#lines[@]} = 4 ]
  run vguest web1 rollback --dry-run --json
  [ "$(json '.guests[0].transactions[0].changes[0] | [.change, .path, .directory] | @json')" = \
    '["remove","/etc/motd",false]' ]
  vguest -q web1 rollback -y
  run vguest web1 exec -- sh -c 'cat /etc/since /var/log/messages; ls /srv; stat -c %a /srv'
  assert_status 0
  [ "$output" = $'since\na log\n700' ]
  check_root
}

@test "a rollback asks, and needs a guest that is stopped" {
  make_tools_guests web1,web2
  run vguest web1 rollback
  assert_status 4
  vguest -q web1,web2 exec -- touch /etc/motd
  run vguest web1 rollback </dev/null
  assert_status 2
  assert_contains "$output" "say --yes"
  run bash -c 'echo n | script -qec "vguest web1 rollback" /dev/null'
  assert_status 4
  assert_contains "$output" "web1: 1 (exec touch /etc/motd)"
  run bash -c 'echo y | script -qec "vguest web1 rollback" /dev/null'
  assert_status 0
  run vguest web1,web2 rollback 1 --yes
  assert_status 2
  run_plain web1 'sleep 1000'
  vguest -q web1 start
  run vguest web1 rollback --yes
  assert_status 1
  assert_contains "$output" "guest web1 is running: stop it first"
  run vguest web1,web2 rollback --yes
  assert_status 3
  assert_contains "$output" "web2: undone: 1 (exec touch /etc/motd)"
  # It can be looked at.
  vguest web1 history
  vguest -q web1 stop
  vguest -q web1 rollback --yes
}

@test "the layer of a command that failed can be entered, and goes with the next transaction" {
  local before
  make_tools_guests web1
  before=$(view web1)
  run vguest web1 enter --failed
  assert_status 1
  assert_contains "$output" "no failed layer of guest web1 is kept"
  run vguest web1 exec --keep-failed -- sh -c 'echo left >/etc/left; chmod 0600 /usr/lib/lib01.so
    mv /usr/share/doc /usr/share/docs; rm /usr/bin/tool; exit 5'
  assert_status 5
  assert_contains "$output" "vguest web1 enter --failed"
  diff <(echo "$before") <(view web1)
  [ -z "$(entries web1 .id | jq -r '.[]')" ]
  check_root
  run vguest web1 history
  assert_contains "$output" "is kept: exec sh -c"

  run --separate-stderr vguest web1 enter --failed -- sh -c \
    'cat /etc/left /usr/lib/lib01.so; ls /usr/bin/tool /usr/share; echo x >/etc/x; exit 3'
  assert_status 3
  [ "$output" = $'left\nlibrary 01\ndocs' ] || [ "$output" = $'left\nlibrary 01\n/usr/share:\ndocs' ]
  run bash -c 'echo "cat /etc/left; ls /etc/x; tty" | vguest web1 enter --failed 2>/dev/null'
  [ "$output" = $'left\nnot a tty' ]
  [ ! -e "$G/web1/failed/upper/etc/x" ]
  [ -z "$(ls "$G/web1/txn")" ]
  check_root

  # The last one is kept, as long as nothing is committed.
  run vguest web1 exec --keep-failed -- sh -c 'echo second >/etc/left; false'
  [ "$(vguest web1 enter --failed -- cat /etc/left)" = second ]
  vguest web1 exec -- true
  [ "$(vguest web1 enter --failed -- cat /etc/left)" = second ]
  vguest web1 exec -- touch /etc/done
  run vguest web1 enter --failed -- true
  assert_status 1
  [ ! -e "$G/web1/failed" ]

  run vexec --keep-failed web1 -- sh -c 'echo third >/etc/left; false'
  assert_status 3
  vguest web1 history --drop-failed
  [ ! -e "$G/web1/failed" ]

  # One that cannot be kept is thrown away.
  touch "$G/web1/failed"
  if chattr +i "$G/web1/failed" 2>/dev/null; then
    run vguest web1 exec --keep-failed -- sh -c 'echo fourth >/etc/left; exit 5'
    chattr -i "$G/web1/failed"
    assert_status 5
    assert_contains "$output" "what the command left could not be kept: "
    [ -z "$(ls "$G/web1/txn")" ]
  fi
  rm "$G/web1/failed"
  check_root
  assert_nothing_left
}

press () {
  tmux -L "vguest-$BATS_TEST_NUMBER" send-keys "$@"
}

shows () {
  wait_for sh -c 'tmux -L "$1" capture-pane -p | grep -qF -- "$2"' sh \
    "vguest-$BATS_TEST_NUMBER" "$1"
}

# The host's shell waits for a command: what is typed goes to nobody else.
at_prompt () {
  tmux -L "vguest-$BATS_TEST_NUMBER" capture-pane -p | grep -v '^ *$' | tail -n 1 | grep -q '^host> *$'
}

@test "the layer of a command that failed can be entered on a terminal" {
  skip_unless_program tmux
  make_tools_guests web1
  run vguest web1 exec --keep-failed -- sh -c 'echo left >/etc/left; false'
  assert_status 1
  env -u TMUX TERM=xterm-256color SHELL=/bin/sh PS1='host> ' \
    tmux -L "vguest-$BATS_TEST_NUMBER" -f /dev/null new-session -d -x 97 -y 31 "sh" 3>&- 4>&-
  shows 'host>'
  press 'vguest web1 enter --failed' Enter
  shows '#'
  press 'cat /etc/left; tty; stty size; sleep 1000' Enter
  shows '/dev/pts/'
  shows '31 97'
  tmux -L "vguest-$BATS_TEST_NUMBER" resize-window -x 80 -y 25
  press C-c
  press 'stty size; echo x >/etc/x' Enter
  shows '25 80'
  press 'exit 7' Enter
  wait_for at_prompt
  press 'echo status $?; stty -a' Enter
  shows 'status 7'
  shows ' echo '
  [ ! -e "$G/web1/failed/upper/etc/x" ]
  wait_for check_root
  assert_nothing_left
}

# du_bytes DIR…: what they take on the disk together.
du_bytes () {
  du -s -c -B1 "$@" | tail -n 1 | cut -f1
}

@test "whatever counts, moves or removes a guest knows of its history" {
  local before
  make_tools_guests web1,web2
  vguest -q web1 exec -- sh -c 'head -c 300000 /dev/zero >/usr/lib/big'
  vguest -q web1 exec -- sh -c 'rm /usr/lib/big /usr/lib/lib01.so'
  run vguest web1 exec --keep-failed -- sh -c 'head -c 100000 /dev/zero >/srv/left; false'
  vstore -q gc
  check_root

  # The object is there for the undo layer alone.
  run vguest-stat --disk --json
  [ "$(json '.guests[0] | .shared_bytes + .own_bytes')" = "$(du_bytes "$G/web1")" ]
  vguest -q web1 rename www
  check_root
  vguest -q www rollback --yes
  [ "$(stat -c %s "$G/www/tree/usr/lib/big")" = 300000 ]
  vguest -q www exec -- rm /usr/lib/big
  before=$(find "$VGUEST_ROOT/store" -type f | wc -l)
  run vguest www history --drop-undo
  assert_status 0
  [ "$output" = "www: 1 transaction can no longer be undone" ]
  vstore -q gc
  [ "$(find "$VGUEST_ROOT/store" -type f | wc -l)" = $((before - 1)) ]
  check_root

  # Neither a clone nor the guest's successor has it; aside it is whole.
  vguest -q www exec -- rm /usr/lib/lib05.so
  vguest -q web3 build -m clone -- -s www
  [ ! -e "$G/web3/history" ]
  vguest -q www build -m clone --force -- -s web2
  [ ! -e "$G/www/history" ]
  [ -n "$(find "$VGUEST_ROOT/aside" -path '*/www.*/history')" ]
  vstore -q gc
  check_root
  vguest -q web3 exec -- rm /usr/lib/lib06.so
  run vguest -q --json web3 delete --yes
  assert_status 0
  check_root
  assert_nothing_left
}
