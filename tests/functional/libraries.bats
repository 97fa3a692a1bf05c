#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Which shared libraries commands load, and what they say where one is missing.
# shellcheck disable=SC2154 # bats sets stderr

bats_require_minimum_version 1.5.0
load ../lib/common
load ../lib/sources

setup () {
  common_setup
  skip_unless_overlay
  make_small_template "$T/source"
}

teardown () {
  stop_server
  common_teardown
}

# loaded COMMAND…: runs it; sets $libraries to the libraries that it and its children loaded.
loaded () {
  mkdir -p "$T/ld"
  run -0 env LD_DEBUG=files LD_DEBUG_OUTPUT="$T/ld/of" "$@"
  libraries=$(cat "$T"/ld/of.* | sed -n 's|.*calling init: .*/\(lib[a-z_-]*\).*\.so.*|\1|p' | sort -u)
  rm -r "$T/ld"
  [[ $libraries = *libc* ]]
  libraries=" ${libraries//$'\n'/ } "
}

has () {
  [[ $libraries = *" $1 "* ]]
}

# soname NAME: as configure found it.
soname () {
  sed -n "s/^#define $1_SONAME \"\(.*\)\"/\1/p" \
    "$(dirname "$(readlink -f "$VGUEST_BIN_DIR/vguest")")/config.h"
}

# without NAME: that library cannot be loaded.
without () {
  local name
  name=$(soname "$1")
  [ -n "$name" ]
  mkdir -p "$T/broken"
  : >"$T/broken/$name"
  export LD_LIBRARY_PATH=$T/broken
}

@test "what fetches, unpacks and hashes nothing loads no library for it" {
  vtemplate -q import small "$T/source"
  vguest -q full build -m clone -- -s small
  vhashify -q --all

  local command
  for command in 'vguest --help' 'vguest-stat' 'vguest-stat --disk' 'vtemplate list' \
    'vguest thin build -m clone --thin -- -s small' 'vguest more build -m clone -- -s small' \
    'vhashify --all' 'vguest full delete --yes' 'vstore gc'; do
    # shellcheck disable=SC2086 # words
    loaded $command
    echo "$command:$libraries"
    refute has libcurl
    refute has libarchive
    refute has libcrypto
    refute has libssl
  done
  check_root
}

@test "an archive is read without what fetches, a directory without either" {
  loaded vtemplate -q import small "$T/source"
  refute has libcurl
  refute has libarchive
  has libcrypto

  pack "$T/source" "$T/small.tar"
  loaded vtemplate -q import packed "$T/small.tar"
  refute has libcurl
  has libarchive

  mkdir "$T/www"
  mv "$T/small.tar" "$T/www"
  start_server
  loaded vtemplate -q import served "$HTTP/small.tar"
  has libcurl
  has libarchive
}

@test "a library that is missing is named, with what it is for and its package" {
  pack "$T/source" "$T/small.tar"
  without LIBARCHIVE
  run -1 --separate-stderr vtemplate -q import small "$T/small.tar"
  [ "${#stderr_lines[@]}" = 1 ]
  [[ $stderr = *"$(soname LIBARCHIVE) is needed to read archives, and cannot be loaded ("* ]]
  [[ $stderr = *'): install the package libarchive13 (in Fedora libarchive)' ]]
  assert_no_trace

  rm "$T"/broken/*
  without LIBCURL
  vtemplate -q import small "$T/small.tar"
  run -1 --separate-stderr vtemplate -q import other http://127.0.0.1:1/small.tar
  [ "${#stderr_lines[@]}" = 1 ]
  [[ $stderr = *"$(soname LIBCURL) is needed to fetch files, and cannot be loaded ("* ]]
  [[ $stderr = *'): install the package libcurl4 (in Fedora libcurl)' ]]
  check_root
}

@test "without a library for digests nothing is half done" {
  vtemplate -q import small "$T/source"
  without LIBCRYPTO
  run -1 --separate-stderr vtemplate -q import other "$T/source"
  [ "${#stderr_lines[@]}" = 1 ]
  [[ $stderr = *"$(soname LIBCRYPTO) is needed to compute digests, and cannot be loaded ("* ]]
  [[ $stderr = *'): install the package libssl3 (in Fedora openssl-libs)' ]]
  vguest -q one build -m clone --thin -- -s small
  unset LD_LIBRARY_PATH
  vtemplate -q import other "$T/source"
  check_root
}
