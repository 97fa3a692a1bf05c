# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completion of vguest's commands for bash. Words come from the programs themselves: verbs, guests,
# templates and keys from `vguest --complete`, options from --help.

# Prints the words of a kind.
_vguest_words () {
  command vguest --complete "$@" 2>/dev/null </dev/null
}

# The options that --help of a command tells.
_vguest_options () {
  command "$@" --help 2>/dev/null </dev/null |
    sed -n 's/^  *\(-.,\)\{0,1\} *\(--[a-z-]*\).*/\2/p'
}

# COMPREPLY from the words on stdin.
_vguest_reply () {
  local word
  COMPREPLY=()
  while read -r word; do
    case $word in
      "$1"*) COMPREPLY+=("$word") ;;
    esac
  done
}

# Names of guests, the last of a list with commas.
_vguest_guests () {
  local cur=$1 before='' i
  case $cur in
    *,*)
      before=${cur%,*},
      cur=${cur##*,}
      ;;
  esac
  _vguest_reply "$cur" < <(_vguest_words guests "$root")
  for i in "${!COMPREPLY[@]}"; do
    COMPREPLY[i]=$before${COMPREPLY[i]}
  done
}

_vguest_files () {
  compopt -o filenames 2>/dev/null
  _vguest_reply "$1" < <(compgen "${2:--f}" -- "$1")
}

# The argument of the option before the cursor; false when that is none that we know.
_vguest_argument () {
  case $1 in
    --root | --cwd | -C) _vguest_files "$cur" -d ;;
    --exclude | --canary) _vguest_guests "$cur" ;;
    --template) _vguest_reply "$cur" < <(_vguest_words templates "$root") ;;
    --source)
      _vguest_reply "$cur" < <(_vguest_words templates "$root" && _vguest_words guests "$root")
      ;;
    -s)
      if ((dashes)); then
        _vguest_argument --source
      else
        _vguest_argument --signal
      fi
      ;;
    --method | -m)
      _vguest_reply "$cur" <<<"clone
template
bootstrap
oci
rsync
skeleton"
      ;;
    --type) _vguest_reply "$cur" <<<"auto
chroot
lxc
nspawn
vserver
export" ;;
    --cni) COMPREPLY=() ;;
    --pull) _vguest_reply "$cur" <<<"always
missing
never" ;;
    --definition | -d | --config | --exclude-from | -X | --from-file | --keyring | --key | --sums | --signature | --debconf-selections) _vguest_files "$cur" ;;
    --init) _vguest_reply "$cur" < <(_vguest_words styles) ;;
    --signal) _vguest_reply "$cur" < <(compgen -A signal | sed 's/^SIG//') ;;
    --env | -e | --user | -u | --hostname | --jobs | -j | --timeout | -t | --wait | --interval | --lines | \
      --label | --max-fail | --retries | --sha256 | --sha512 | --max-size | --max-unpacked | \
      --older-than | --creds | \
        --platform) COMPREPLY=() ;;
    *) return 1 ;;
  esac
}

# KEY=VALUE; readline cuts words at "=".
_vguest_set () {
  local key=''
  if [ "$cur" = = ]; then
    key=$prev
    cur=
  elif [ "$prev" = = ] && ((COMP_CWORD >= 2)); then
    key=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  case $key in
    '')
      compopt -o nospace 2>/dev/null
      _vguest_reply "$cur" < <(_vguest_words keys | sed 's/$/=/')
      ;;
    init) _vguest_reply "$cur" < <(_vguest_words styles) ;;
    network) _vguest_reply "$cur" < <(printf '%s\n' host none cni) ;;
    runtime) _vguest_reply "$cur" < <(printf '%s\n' auto crun runc) ;;
    autostart) _vguest_reply "$cur" < <(printf '%s\n' true false) ;;
    depends) _vguest_guests "$cur" ;;
  esac
}

# What is not an option of a verb of vguest.
_vguest_verb () {
  case $1 in
    set) _vguest_set ;;
    get) _vguest_reply "$cur" < <(_vguest_words keys) ;;
    adopt) _vguest_files "$cur" ;;
    build) ((dashes)) && _vguest_reply "$cur" < <(printf '%s\n' -s -X) ;;
    *) COMPREPLY=() ;;
  esac
}

_vguest () {
  local cur=${COMP_WORDS[COMP_CWORD]} prev='' program=${COMP_WORDS[0]##*/} root='' i word
  local dashes=0 all=0 verb='' names=''
  local -a words=() spoken=()
  COMPREPLY=()
  ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}

  # The words before the cursor that are neither options nor their arguments.
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    case $word in
      --) ((dashes)) || dashes=$i ;;
      --all) all=1 ;;
      --root)
        root=${COMP_WORDS[++i]:-}
        # readline gives --root=DIR as three words
        [ "$root" = = ] && root=${COMP_WORDS[++i]:-}
        ;;
      --exclude | --explain | --template | --label | --source | --method | -m | --jobs | -j | --env | -e | \
        --cwd | -C | --user | -u | --hostname | --timeout | -t | --wait | --interval | --lines | \
        --signal | --definition | -d | --from-file | --pull | --keyring | --key | --sums | --signature | \
        --sha256 | --sha512 | --max-size | --max-unpacked | --older-than | --creds | \
        --platform | --type | --config | --cni) ((++i)) ;;
      -*) ;;
      *) words+=("$word") ;;
    esac
  done

  # A command of the guest, behind "--".
  if ((dashes)) && [ "$program" != vguest ]; then
    return 0
  fi
  if [ "$prev" = = ] && [[ ${COMP_WORDS[COMP_CWORD - 2]:-} == --* ]]; then
    prev=${COMP_WORDS[COMP_CWORD - 2]}
  fi
  _vguest_argument "$prev" && return 0

  case $program in
    vguest)
      spoken=("${words[@]}")
      ((all)) && spoken=(all "${words[@]}")
      names=${spoken[0]:-} verb=${spoken[1]:-}
      if [ -z "$names" ] || [ -z "$verb" ]; then
        if [[ $cur == -* ]]; then
          _vguest_reply "$cur" < <(_vguest_options vguest)
        elif [ -z "$names" ]; then
          _vguest_guests "$cur"
        else
          _vguest_reply "$cur" < <(_vguest_words verbs vguest)
        fi
      elif [[ $cur == -* ]] && ((!dashes)); then
        _vguest_reply "$cur" < <(_vguest_options vguest x "$verb")
      else
        _vguest_verb "$verb"
      fi
      ;;
    vtemplate | vstore | vguest-autostart)
      verb=${words[0]:-}
      if [ -z "$verb" ] && [[ $cur != -* ]]; then
        _vguest_reply "$cur" < <(_vguest_words verbs "$program")
      elif [[ $cur == -* ]]; then
        _vguest_reply "$cur" < <(_vguest_options "$program" ${verb:+"$verb"})
      else
        case $program/$verb in
          vtemplate/info | vtemplate/delete | vtemplate/update | vtemplate/gc)
            _vguest_reply "$cur" < <(_vguest_words templates "$root")
            ;;
          vtemplate/check) _vguest_files "$cur" ;;
          vtemplate/import) ((${#words[@]} > 1)) && _vguest_files "$cur" ;;
        esac
      fi
      ;;
    *)
      if [[ $cur == -* ]]; then
        _vguest_reply "$cur" < <(_vguest_options "$program")
      else
        _vguest_guests "$cur"
      fi
      ;;
  esac
  return 0
}

complete -F _vguest vguest vtemplate vhashify vstore vguest-stat vguest-info vguest-autostart \
  vapt-get vdnf vyum vrpm vzypper vpacman vapk vpkg vexec
