#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Commands in running guests: exec, suexec, enter.

# Guests' scripts are in single quotes.
# shellcheck disable=SC2016

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/guests

setup () {
  common_setup
  skip_unless_runtime
  skip_unless_program jq catatonit
  # A name for the sleeping processes of this test alone.
  NAP=9$RANDOM$RANDOM
  make_tools_guests web1
  cat >"$T/passwd" <<'PASSWD'
root:x:0:0:root:/root:/bin/sh
www:x:33:34:www:/srv/www:/bin/nosuchshell
anna:x:1000:1000::/home/anna:/bin/sh
PASSWD
  cat >"$T/group" <<'GROUP'
root:x:0:
www:x:34:
adm:x:4:anna,www
anna:x:1000:
GROUP
  mkdir -p "$VGUEST_ROOT"/guests/web1/private/{etc,home/anna}
  cp "$T/passwd" "$T/group" "$VGUEST_ROOT/guests/web1/private/etc"
  chown 1000 "$VGUEST_ROOT/guests/web1/private/home/anna"
  vguest -q web1 start
}

teardown () {
  tmux -L "vguest-$BATS_TEST_NUMBER" kill-server 2>/dev/null || true
  vguest -q --all stop --timeout 0 || true
  common_teardown
}

not_running () {
  ! pgrep -f "$1" >/dev/null
}

# A terminal of 97 × 31 with a shell of the host.
start_terminal () {
  skip_unless_program tmux
  env -u TMUX TERM=xterm-256color SHELL=/bin/sh PS1='host> ' \
    tmux -L "vguest-$BATS_TEST_NUMBER" -f /dev/null new-session -d -x 97 -y 31 "sh" 3>&- 4>&-
  shows 'host>'
}

press () {
  tmux -L "vguest-$BATS_TEST_NUMBER" send-keys "$@"
}

screen () {
  tmux -L "vguest-$BATS_TEST_NUMBER" capture-pane -p
}

screen_has () {
  grep -q -- "$1" <<<"$(screen)"
}

shows () {
  wait_for screen_has "$1" || {
    screen
    return 1
  }
}

@test "exit statuses are the command's own" {
  run vguest web1 exec -- sh -c 'exit 0'
  assert_status 0
  run vguest web1 exec -- sh -c 'exit 255'
  assert_status 255
  run vguest web1 exec -- sh -c 'kill -TERM $$'
  assert_status 143
  run -127 vguest web1 exec -- nosuch
  [ "$output" = "vguest: nosuch: no such command in the guest" ]
  run -127 vguest web1 exec -- /bin/nosuch
  run vguest web1 exec -- /etc/hostname
  assert_status 126
  assert_contains "$output" "cannot be executed"
  run vguest web1 exec -- /etc
  assert_status 126
  run vguest web1 exec -- true $'\377'
  assert_status 2
  run vguest web1 exec --discard -- true
  assert_status 2
}

@test "several guests: one after another, 3 when some failed" {
  make_tools_guests web2
  run vguest 'web[1-2]' exec -- sh -c 'test "$(hostname)" != web2'
  assert_status 3
  assert_contains "$output" "web2: the command ended with exit status 1: guest as before"
  run vguest 'web[1-2]' exec -- true
  assert_status 0
  run vguest web2 exec -t -- true
  assert_status 2
  run vguest 'web[1-2]' exec -t -- true
  assert_status 2
}

@test "input and output pass byte by byte, apart from one another" {
  head -c 10000000 /dev/urandom >"$T/blob"
  # shellcheck disable=SC2094
  vguest web1 exec -- cat <"$T/blob" | cmp - "$T/blob"
  # shellcheck disable=SC2002
  cat "$T/blob" | vguest web1 exec -- sha256sum >"$T/sum"
  [ "$(cat "$T/sum")" = "$(sha256sum <"$T/blob")" ]
  vguest web1 exec -- sh -c 'echo out; echo err >&2; echo more' >"$T/out" 2>"$T/err"
  [ "$(cat "$T/out")" = "out
more" ]
  [ "$(cat "$T/err")" = err ]
  run vguest web1 exec -- cat </dev/null
  assert_status 0
  [ -z "$output" ]
  run bash -c 'vguest web1 exec -- cat <&-'
  assert_status 0
}

@test "who reads no more is told, and so is who cannot be written to" {
  run timeout 20 bash -c 'vguest web1 exec -- sh -c "while :; do echo y; done" | head -n 1
    echo "${PIPESTATUS[0]}"'
  [ "$output" = "y
141" ]
  run timeout 20 bash -c 'vguest web1 exec -- sh -c "seq 100000" >/dev/full'
  assert_status 1
  assert_contains "$output" "No space left on device"
  # A command that does not read its input does not keep us.
  run timeout 20 bash -c 'seq 1000000 | vguest web1 exec -- true'
  assert_status 0
}

@test "what a command leaves running does not keep the caller" {
  run timeout 20 vguest web1 exec -- sh -c "sleep $NAP & echo begun"
  assert_status 0
  [ "$output" = begun ]
  # The shell may say so before its child is sleep.
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  # It goes with the guest.
  vguest -q web1 stop
  refute pgrep -f "^sleep $NAP"
}

@test "signals reach the command" {
  local signal pid
  for signal in HUP INT QUIT USR1 USR2 TERM ALRM; do
    rm -f "$T/out"
    env --default-signal=INT,QUIT vguest web1 exec -- sh -c "trap 'echo got $signal; exit 9' $signal
      echo begun; while :; do sleep 0.02; done" >"$T/out" 3>&- &
    pid=$!
    wait_for grep -qs begun "$T/out"
    kill "-$signal" "$pid"
    status=0
    wait "$pid" || status=$?
    assert_status 9
    assert_contains "$(cat "$T/out")" "got $signal"
  done
  vguest web1 exec -- sleep "$NAP" 3>&- &
  pid=$!
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  kill "$pid"
  status=0
  wait "$pid" || status=$?
  assert_status 143
}

@test "a caller that is killed takes the command along" {
  local pid
  vguest web1 exec -- sh -c "sleep $NAP; true" 3>&- &
  pid=$!
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  kill -9 "$pid"
  wait "$pid" || true
  wait_for not_running "sleep $NAP"
  # Nothing of the session is left with the monitor.
  run vguest web1 exec -- true
  assert_status 0
}

@test "a guest that stops ends its commands" {
  vguest web1 exec -- sleep "$NAP" 3>&- &
  local pid=$!
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  vguest -q web1 stop
  status=0
  wait "$pid" || status=$?
  assert_status 137
  run vguest web1 enter
  assert_status 1
  assert_contains "$output" "start it with \`vguest web1 start\`"
}

@test "environment, directory and host name are the guest's" {
  run env FOREIGN=x vguest web1 exec -e "A=b c" -C /usr/lib -- sh -c \
    'echo "$A"; pwd; hostname; echo "$HOME"; echo "$FOREIGN."'
  assert_status 0
  [ "$output" = "b c
/usr/lib
web1
/root
." ]
  vguest web1 set environment.A=guest environment.LANG=de_DE.UTF-8
  # shellcheck disable=SC2016
  run vguest web1 exec -e A=mine -- sh -c 'echo "$LANG $A"'
  [ "$output" = "de_DE.UTF-8 mine" ]
  vguest web1 set environment.A= environment.LANG=
  run vguest web1 exec -C nowhere -- true
  assert_status 2
  # The container's own bounds hold for it, too.
  run vguest web1 exec -- cat /proc/self/status
  assert_contains "$output" "Seccomp:	2"
  refute vguest web1 exec -- mount -t tmpfs none /mnt
}

@test "users are those of the guest" {
  run vguest web1 exec -u anna -- sh -c 'id -u; id -g; id -G; echo "$HOME $USER $LOGNAME $SHELL"'
  assert_status 0
  [ "$output" = "1000
1000
1000 4
/home/anna anna anna /bin/sh" ]
  run vguest web1 suexec 33 id -G
  [ "$output" = "34 4" ]
  run vguest web1 suexec www:anna -- id -G
  [ "$output" = 1000 ]
  run vguest web1 suexec -e HOME=/x anna -- sh -c 'echo "$HOME"'
  [ "$output" = /x ]
  run vguest web1 exec -u 4711:12 -- sh -c 'id -u; id -g'
  [ "$output" = "4711
12" ]
  run vguest web1 exec -u nobody -- true
  assert_status 2
  assert_contains "$output" 'no user "nobody"'
  run vguest web1 suexec anna
  assert_status 2
  # What the user may not execute is not found out by the runtime.
  vguest web1 exec -- sh -c 'mkdir -m 700 /srv/secret; cp=$(cat /bin/true >/srv/secret/true); chmod 755 /srv/secret/true'
  run vguest web1 suexec anna /srv/secret/true
  assert_status 126
  # The same in a stopped guest.
  vguest -q web1 stop
  run vguest web1 suexec anna sh -c 'id -u; id -G; echo "$HOME"'
  assert_status 0
  [ "$output" = "1000
1000 4
/home/anna" ]
}

@test "a hostile passwd harms nobody" {
  vguest web1 exec -- sh -c 'rm /etc/passwd; ln -s /proc/1/root/etc/passwd /etc/passwd'
  run timeout 20 vguest web1 exec -u nobody -- true
  refute test "$status" = 0
  vguest web1 exec -- sh -c 'rm /etc/passwd; ln -s ../../../../../../../etc/shadow /etc/passwd'
  run timeout 20 vguest web1 exec -u nobody -- true
  assert_status 2
  vguest web1 exec -- sh -c 'rm /etc/passwd; seq 1000000 >/etc/passwd'
  run timeout 20 vguest web1 exec -u root -- true
  assert_status 1
  assert_contains "$output" "larger than"
  vguest web1 exec -- rm /etc/passwd
  run vguest web1 exec -u root -- sh -c 'echo "$HOME"'
  [ "$output" = /root ]
  vguest web1 exec -- mknod /etc/passwd p
  run timeout 20 vguest web1 exec -u root -- true
  assert_status 1
  assert_contains "$output" "passwd"
  # Without a user a runtime may look into it itself, and hang: a signal ends that.
  run timeout -s INT 3 vguest web1 exec -- sh -c 'exit 0'
  # shellcheck disable=SC2009
  refute grep -q 'runc\|crun' <<<"$(ps ax -o args= | grep -F -- "$(root_id)" | grep -v grep)"
}

@test "enter reads its commands from a pipe where there is no terminal" {
  run bash -c 'echo "pwd; echo \$USER; exit 5" | vguest web1 enter -u anna'
  assert_status 5
  [ "$output" = "/home/anna
anna" ]
  # Its home is not there, and www's shell is not either.
  run -127 bash -c 'echo pwd | vguest web1 enter -u www'
  run vguest web1 enter -u nosuch </dev/null
  assert_status 2
  run vguest web1 enter true
  assert_status 2
}

@test "enter on a terminal: size, TERM, job control, exit status" {
  start_terminal
  press "stty -g >$T/before" Enter
  wait_for test -s "$T/before"
  press 'vguest web1 enter; echo "host=$?"' Enter
  shows '#$'
  press 'stty size; echo "term=$TERM"; tty' Enter
  shows '^31 97'
  shows '^term=tmux\|^term=screen\|^term=xterm'
  shows '^/dev/pts/'
  press "sleep $NAP" Enter
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  press C-z
  shows 'Stopped'
  press 'fg' Enter
  press C-c
  wait_for not_running "^sleep $NAP"
  press 'echo "status=$?"' Enter
  shows '^status=130'
  press 'cat' Enter 'from cat' Enter C-d
  shows '^from cat'
  tmux -L "vguest-$BATS_TEST_NUMBER" resize-window -x 60 -y 20
  press 'stty size' Enter
  shows '^20 60'
  press 'exit 7' Enter
  shows 'host=7'
  press "stty -g >$T/after" Enter
  wait_for test -s "$T/after"
  diff "$T/before" "$T/after"
}

@test "the terminal is put back when things go wrong" {
  start_terminal
  press "stty -g >$T/before" Enter
  wait_for test -s "$T/before"
  press "vguest web1 exec -t -- sh -c 'echo begun; sleep $NAP'; echo host=\$?" Enter
  shows '^begun'
  pkill -TERM -f "^vguest web1 exec -t .*$NAP"
  shows 'host=1'
  wait_for not_running "sleep $NAP"
  press "stty -g >$T/after" Enter
  wait_for test -s "$T/after"
  diff "$T/before" "$T/after"
  # The guest is stopped under a shell.
  press 'vguest web1 enter; echo gone=$?' Enter
  shows '#$'
  vguest -q web1 stop --timeout 0
  shows 'gone=137'
  press "stty -g >$T/last" Enter
  wait_for test -s "$T/last"
  diff "$T/before" "$T/last"
}

@test "a terminal that goes away ends the shell in the guest" {
  start_terminal
  press "vguest web1 enter" Enter
  shows '#$'
  press "sleep $NAP" Enter
  wait_for pgrep -f "^sleep $NAP" >/dev/null
  tmux -L "vguest-$BATS_TEST_NUMBER" kill-server
  wait_for not_running "^sleep $NAP"
}

@test "exec -t without a terminal of the caller" {
  run bash -c 'echo hello | vguest web1 exec -t -- sh -c "tty; cat; exit 3"'
  assert_status 3
  assert_contains "$output" "/dev/pts/"
  assert_contains "$output" "hello"
}
