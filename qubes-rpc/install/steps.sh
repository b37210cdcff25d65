# The steps of both install scripts: gather the files, check, show the changes, ask, install, and uninstall. Nothing is changed
# before all changes were shown. For any POSIX shell.
#
# The list of installed files, with checksums, is beside the program. Files that are not in it, or were changed since, are never
# replaced or removed without --force.

set -eu
umask 022
LC_ALL=C
export LC_ALL

dry_run=no yes=no uninstall=no force=no root=
problems=0
# Where Node keeps compiled code, as the first line of the programs says.
cache=/var/cache/sparsebak

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
problem() {
  printf 'problem: %s\n' "$*" >&2
  problems=$((problems + 1))
}
stop() {
  printf '%s\n' "$*" >&2
  exit "${status:-1}"
}

# Handles an option that both scripts have; false for any other.
common_option() {
  case $1 in
    --dry-run) dry_run=yes ;;
    --yes) yes=yes ;;
    --uninstall) uninstall=yes ;;
    --force) force=yes ;;
    *) return 1 ;;
  esac
}

# --root is used instead of /: for trials, and for making packages.
set_root() {
  case $1 in
    /*) root=${1%/} ;;
    *) status=2 stop "--root needs an absolute path" ;;
  esac
}

# The files are first gathered in a folder, under their final names.
work=$(mktemp -d)
stage=$work/stage lists=$work/lists
mkdir "$stage" "$lists"
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

put() { # FILE PATH MODE
  mkdir -p "$stage${2%/*}"
  cp "$1" "$stage$2"
  chmod "$3" "$stage$2"
}
put_link() { # TARGET PATH
  mkdir -p "$stage${2%/*}"
  ln -s "$1" "$stage$2"
}
staged() { (cd "$stage" && find . \( -type f -o -type l \) | sed 's/^\.//' | sort); }

# Mode and checksum of a file, or the target of a link.
sum_of() {
  if [ -L "$1" ]; then
    printf 'link:%s\n' "$(readlink "$1")"
  elif [ -f "$1" ]; then
    printf '%s:%s\n' "$(stat -c %a "$1")" "$(sha256sum <"$1" | cut -d' ' -f1)"
  else
    printf 'something else\n'
  fi
}
is_there() { [ -e "$1" ] || [ -L "$1" ]; }
listed_paths() { if [ -f "$root$list" ]; then sed 's/^[^ ]*  //' "$root$list" | sort -u; fi; }
# Whether the file is unchanged since it was installed.
is_ours() { [ -f "$root$list" ] && grep -qFx "$(sum_of "$root$1")  $1" "$root$list"; }

# Node at or above a version, in the PATH, that can run a program.
check_node() { # MAJOR MINOR PROGRAM
  version=$(node -p process.versions.node 2>/dev/null) || {
    problem "there is no node in the PATH ($PATH): install Node $1.$2 or newer"
    return 0
  }
  major=${version%%.*} rest=${version#*.}
  if [ "$major" -lt "$1" ] || { [ "$major" -eq "$1" ] && [ "${rest%%.*}" -lt "$2" ]; }; then
    problem "node is $version, and sparsebak needs $1.$2 or newer"
  elif [ -f "$3" ]; then
    node "$3" --version >/dev/null 2>&1 || problem "node $version does not run $3"
  fi
}
check_programs() {
  for program in "$@"; do
    command -v "$program" >/dev/null || problem "there is no $program in the PATH ($PATH)"
  done
}
check_root_user() {
  if [ -z "$root" ] && [ "$(id -u)" != 0 ]; then problem "only root can do this"; fi
}

# Fills $changes with the paths that an installation would change, and shows them.
plan_install() {
  changes=
  for path in $(staged); do
    if ! is_there "$root$path"; then
      what=new
    elif [ "$(sum_of "$root$path")" = "$(sum_of "$stage$path")" ]; then
      continue
    elif is_ours "$path" || [ "$force" = yes ]; then
      what=replace
    else
      problem "$path already exists, and is not as this script installed it: move it away, or give --force"
      continue
    fi
    changes="$changes $path"
    say "  $what $root$path$(if [ -L "$stage$path" ]; then printf ' -> %s' "$(readlink "$stage$path")"; fi)"
  done
  for path in $(listed_paths); do
    if is_there "$root$path" && ! is_there "$stage$path" && is_ours "$path"; then
      changes="$changes $path"
      say "  remove $root$path (no longer part of it)"
    fi
  done
}

# Replaces a file atomically, since it may be in use. FILE PATH
replace() {
  mkdir -p "${2%/*}"
  rm -f "${2%/*}/.sparsebak-new"
  cp -Pp "$1" "${2%/*}/.sparsebak-new"
  mv -T "${2%/*}/.sparsebak-new" "$2"
}

install_all() {
  for path in $(staged); do printf '%s  %s\n' "$(sum_of "$stage$path")" "$path"; done >"$lists/new"
  # Until the end the list has the old and the new files: after an interruption, the script can be repeated, or uninstall everything.
  if [ -f "$root$list" ]; then cp "$root$list" "$lists/both"; fi
  cat "$lists/new" >>"$lists/both"
  replace "$lists/both" "$root$list"
  for path in $changes; do
    if is_there "$stage$path"; then replace "$stage$path" "$root$path"; else rm "$root$path"; fi
  done
  replace "$lists/new" "$root$list"
}

plan_uninstall() {
  changes=
  [ -f "$root$list" ] || return 0
  for path in $(listed_paths); do
    if ! is_there "$root$path"; then
      continue
    elif is_ours "$path" || [ "$force" = yes ]; then
      changes="$changes $path"
      say "  remove $root$path"
    else
      say "  keep $root$path (it was changed since; --force removes it)"
    fi
  done
  say "  remove $root$list"
  if is_there "$root$cache"; then say "  remove $root$cache (compiled code, for a faster start)"; fi
}

uninstall_all() {
  for path in $changes; do
    rm -f "$root$path" "$root${path%/*}/.sparsebak-new"
  done
  rm "$root$list"
  rm -rf "$root$cache"
  rmdir "$root${list%/*}" 2>/dev/null || :
}

agree() {
  if [ "$dry_run" = yes ]; then
    say "Nothing was done (--dry-run)."
    exit 0
  fi
  if [ "$yes" = yes ]; then return 0; fi
  if [ ! -t 0 ]; then status=2 stop "Nothing was done: give --yes, or run it on a terminal."; fi
  printf 'Do this? [y/N] '
  read -r answer || answer=
  case $answer in
    y | Y | yes) ;;
    *) stop "Nothing was done." ;;
  esac
}

# Shows, asks, installs or uninstalls. $1 names the product, $also further files to create; call it after the checks and staging.
also=
run_plan() {
  if [ "$uninstall" = yes ]; then
    if [ "$problems" -gt 0 ]; then stop "Nothing was done."; fi
    if [ ! -f "$root$list" ]; then stop "Nothing to do: there is no $root$list, so nothing was installed by this script."; fi
    say "To uninstall $1:"
    plan_uninstall
    agree
    uninstall_all
    say "Done."
    return 0
  fi
  say "To install $1:"
  plan_install
  if [ -n "$also" ]; then say "$also"; fi
  if [ "$problems" -gt 0 ]; then stop "Nothing was done. First solve the problems above (problems: $problems)."; fi
  if [ -z "$changes$also" ] && [ -f "$root$list" ]; then
    say "  nothing: everything is installed"
    return 0
  fi
  agree
  install_all
  say "Done. The same command with --uninstall removes it again."
}
