#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The command line: help, versions, and the exit statuses of wrong usage.

load ../lib/common

@test "every program tells its version and its help" {
  for program in vguest vtemplate vstore vguest-autostart; do
    run "$program" --version
    assert_status 0
    assert_contains "$output" "vguest "
  done
  for program in vguest vtemplate vhashify vstore vguest-stat vapt-get vdnf vyum vrpm vzypper \
    vpacman vapk vpkg vexec vguest-info \
    vguest-autostart; do
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

# names_options PAGE COMMAND…: does the manual page name every option that --help tells?
names_options () {
  local page=$1 option missing=
  shift
  while read -r option; do
    # The common options are told once.
    case $option in root | json | quiet | no-wait | wait | help) continue ;; esac
    grep -q -E -e "^\.(It|Op|Nm|Fl).* -$option( |$)" "$SOURCE_DIR/man/$page" ||
      missing="$missing --$option"
  done < <("$@" --help | sed -n 's/^ .*--\([a-z0-9-]*\).*/\1/p')
  [ -z "$missing" ] || {
    echo "$page lacks the options of $*:$missing"
    return 1
  }
}

@test "the manual pages name every option" {
  for option in root json quiet no-wait wait help; do
    grep -q -E -e "^\.It Fl.* -$option( |$)" "$SOURCE_DIR/man/vguest.8"
  done
  for verb in build exec suexec enter console logs hashify delete start stop restart condrestart \
    status running kill rename; do
    names_options vguest.8 vguest x "$verb"
  done
  for verb in import build check list info update gc delete; do
    names_options vtemplate.8 vtemplate "$verb"
  done
  names_options vhashify.8 vhashify
  names_options vstore.8 vstore gc
  names_options vguest-stat.8 vguest-stat
  names_options vpkg.8 vpkg
  names_options vexec.8 vexec
  names_options vguest-info.8 vguest-info
  for verb in start stop status list; do
    names_options vguest-autostart.8 vguest-autostart "$verb"
  done
}

@test "every help fits 80 columns" {
  # Programs and verbs as main.c has them.
  while read -r program verb; do
    case $program in
      vguest) set -- vguest name "$verb" ;;
      *) set -- "$program" ${verb:+"$verb"} ;;
    esac
    run "$@" --help
    assert_status 0
    [ "$(wc -L <<<"$output")" -le 80 ] || {
      echo "$*"
      awk 'length > 80' <<<"$output"
      return 1
    }
  done < <(sed -n 's/^    {"\(v[a-z-]*\)", \(NULL\|"\([a-z]*\)"\),.*/\1 \3/p' "$SOURCE_DIR/src/main.c")
}
