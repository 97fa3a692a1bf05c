#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# What makes vguest a part of the host: units, init script, completion; and vguest-info. Guests that
# run: see autostart.bats.

load ../lib/common

# unit NAME: host/NAME.in with the tested programs, as `make` would fill it in.
unit () {
  sed "s|@bindir@|$VGUEST_BIN_DIR|g" "$SOURCE_DIR/host/$1.in"
}

@test "systemd takes the units" {
  skip_unless_program systemd-analyze
  mkdir "$T/units"
  for name in vguest.service vguest@.service vguest-unify.service; do
    unit "$name" >"$T/units/$name"
  done
  cp "$SOURCE_DIR/host/vguest-unify.timer" "$T/units"
  # Pages of this version may not be installed.
  run systemd-analyze verify --man=no "$T/units/vguest.service" "$T/units/vguest@web1.service" \
    "$T/units/vguest-unify.service" "$T/units/vguest-unify.timer"
  assert_status 0
  # It warns about what it does not know, and goes on.
  refute grep "$T" <<<"$output"
  systemd-analyze calendar "$(sed -n 's/^OnCalendar=//p' "$T/units/vguest-unify.timer")"
}

@test "the entry of tmpfiles.d makes /run/vguest" {
  skip_unless_program systemd-tmpfiles
  skip_unless_root
  mkdir "$T/host"
  systemd-tmpfiles --root="$T/host" --create "$SOURCE_DIR/host/vguest.tmpfiles"
  [ "$(stat -c '%a %u' "$T/host/run/vguest")" = "711 0" ]
}

@test "the commands of the units and the init script without guests" {
  skip_unless_overlay
  for key in ExecStart ExecStop; do
    run bash -c "$(unit vguest.service | sed -n "s/^$key=//p")"
    assert_status 0
  done
  run bash -c "$(unit vguest-unify.service | sed -n 's/^ExecStart=//p')"
  # The unit has a condition for this.
  assert_status 5
  unit vguest.init >"$T/init"
  for verb in start status stop restart force-reload; do
    run sh "$T/init" "$verb"
    assert_status 0
  done
  run sh "$T/init" nonsense
  assert_status 2
  assert_contains "$output" "Usage"
  # A removed package leaves its script.
  sed 's|^PATH=.*|PATH=/nowhere|' "$T/init" >"$T/removed"
  run "$(type -P sh)" "$T/removed" start
  assert_status 0
}

@test "the init script's header is one of LSB" {
  unit vguest.init >"$T/init"
  for key in Provides Required-Start Required-Stop Default-Start Default-Stop Short-Description; do
    grep -q "^# $key: " "$T/init"
  done
  sh -n "$T/init"
}

# complete_line LINE: what completion makes of it; readline cuts words at "=" and ":" too.
complete_line () {
  bash -c '
    source "$1/completion/vguest.bash"
    line=$2
    COMP_WORDS=() word=
    for ((i = 0; i < ${#line}; i++)); do
      c=${line:i:1}
      case $c in
        " ") [ -z "$word" ] || COMP_WORDS+=("$word"); word= ;;
        "=") [ -z "$word" ] || COMP_WORDS+=("$word"); COMP_WORDS+=("="); word= ;;
        *) word+=$c ;;
      esac
    done
    [[ $line == *= ]] || COMP_WORDS+=("$word")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    "$(complete -p "${COMP_WORDS[0]}" | sed "s/.*-F \([^ ]*\) .*/\1/")"
    printf "%s\n" "${COMPREPLY[@]}" | sort | paste -sd " "' bash "$SOURCE_DIR" "$1"
}

# completes LINE WORDS
completes () {
  run complete_line "$1"
  assert_status 0
  [ "$output" = "$2" ] || {
    echo "\"$1\" gives \"$output\", expected \"$2\""
    return 1
  }
}

@test "completion" {
  skip_unless_root
  # Without a root nothing is made and nothing is said.
  completes "vguest w" ""
  [ ! -e "$VGUEST_ROOT" ]
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q 'web[1-2],db' build -m clone -- -s small

  completes "vguest w" "web1 web2"
  completes "vguest " "db web1 web2"
  completes "vguest web1,w" "web1,web1 web1,web2"
  completes "vguest --root $VGUEST_ROOT d" "db"
  completes "vguest web1 ha" "hashify"
  completes "vguest web1 hashify --dr" "--dry-run"
  completes "vguest web1 build -m clone -- -s " "db small web1 web2"
  completes "vguest web3 build -m " "bootstrap clone oci rsync skeleton template"
  completes "vguest web1 set host" "hostname="
  completes "vguest web1 get host" "hostname"
  completes "vguest web1 set init=sys" "systemd sysvinit"
  completes "vguest web1 set network=" "cni host none"
  completes "vtemplate in" "info"
  completes "vtemplate info " "small"
  completes "vtemplate build --up" "--updates"
  completes "vhashify --all --exclude web" "web1 web2"
  completes "vexec web" "web1 web2"
  completes "vexec --gr" "--group"
  completes "vexec web1 -- w" ""
  completes "vguest-info d" "db"
  completes "vguest-stat --from-file $T/sour" "$T/source"
  completes "vguest-stat --template sm" "small"
  completes "vguest-stat --di" "--disk"
  completes "vguest-autostart sta" "start status"
  completes "vstore g" "gc"
  # Every program has it.
  for program in "$VGUEST_BIN_DIR"/*; do
    bash -c 'source "$1" && complete -p "$2"' bash "$SOURCE_DIR/completion/vguest.bash" \
      "${program##*/}"
  done
}

@test "completion asks for words quickly, and never complains" {
  for kind in guests templates keys styles verbs nonsense; do
    run vguest --complete "$kind"
    assert_status 0
  done
  run env VGUEST_ROOT=/proc/none vguest --complete guests
  assert_status 0
  [ -z "$output" ]
}

@test "vguest-info tells about the host" {
  skip_unless_runtime
  run vguest-info --json
  assert_status 0
  [ "$(json .root)" = "$VGUEST_ROOT" ]
  [ "$(json .guests.total)" = 0 ]
  [ "$(json .features.overlay)" = true ]
  [ "$(json .file_system)" = "$(stat -f -c %T "$VGUEST_ROOT" | sed 's|^ext2/ext3$|ext4|')" ]
  case $(json .cgroups) in v1 | v2 | hybrid) ;; *) false ;; esac
  [ -x "$(json .runtime.path)" ]
  [ "$(json '.runtime.tried[-1] | .path + " " + (.works | tostring)')" = "$(json .runtime.path) true" ]
  run vguest-info
  assert_status 0
  assert_contains "$output" "$VGUEST_ROOT"
}

@test "vguest-info tells about a guest" {
  skip_unless_root
  make_small_template "$T/source"
  vtemplate -q import small "$T/source"
  vguest -q web1 build -m clone -- -s small
  run vguest-info --json web1
  assert_status 0
  [ "$(json '[.name, .state, .template, .generation, .hostname, .pid, .started] | @json')" = \
    '["web1","stopped","small",1,"web1",null,null]' ]
  [ -e "$(json .config)" ]
  [ -d "$(json .log_dir)" ]
  run vguest-info web1
  assert_status 0
  assert_contains "$output" "small"
  run vguest-info web2
  assert_status 5
  assert_contains "$output" "web1"
  run vguest-info web1 web2
  assert_status 2
}
