# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Guests that share contents alone: `load ../lib/contents` behind common and guests.

# make_contents_guests: web1 and web2, which have the file $FILE with the contents of $T/data; its
# mode and time are others in web2. $GUESTS is where they are.
make_contents_guests () {
  FILE=usr/lib/data.so
  GUESTS=$VGUEST_ROOT/guests
  [ -e "$BATS_FILE_TMPDIR/tools" ] || make_tools_template "$BATS_FILE_TMPDIR/tools"
  cp -a "$BATS_FILE_TMPDIR/tools" "$T/source"
  head -c 50000 /dev/urandom >"$T/data"
  cp "$T/data" "$T/source/$FILE"
  vtemplate -q import one "$T/source"
  touch -d @1600000000.5 "$T/source/$FILE"
  chmod 0640 "$T/source/$FILE"
  vtemplate -q import two "$T/source"
  vguest -q web1 build -m clone -- -s one
  vguest -q web2 build -m clone -- -s two
  # Else its template has the file as well, and nothing would be freed.
  vtemplate -q delete --yes two
}

views () {
  "$CHECK_ROOT" --view "$GUESTS/web1"
  "$CHECK_ROOT" --view "$GUESTS/web2"
}

# shares GUEST: its file has no blocks of its own.
shares () {
  [ "$(stat -c %b "$GUESTS/$1/tree/$FILE")" = 0 ]
}

# place_of GUEST: where the contents of its file are, below store/data.
place_of () {
  getfattr --absolute-names --only-values -n trusted.overlay.redirect "$GUESTS/$1/tree/$FILE"
}
