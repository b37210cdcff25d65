#!/bin/sh
# Installs the receiver and its services in a backup qube.
usage='usage: vm.sh [--dry-run] [--yes] [--force] [--uninstall] [--type TYPE] [--user NAME] [--archives DIR] [--root DIR]

Installs the receiver, which stores the archives, and the three services by which dom0 calls it, in a backup qube or its template. It
shows what it will do, and asks.

  --dry-run        only show it
  --yes            do not ask
  --force          also replace or remove files that were changed by hand
  --uninstall      remove what was installed; configuration and archives stay
  --type TYPE      appvm (installs to /usr/local and /rw, which persist), template, or standalone (default: detected)
  --user NAME      the user in the qube that owns the archives (default: user)
  --archives DIR   where the backup disk is mounted; creates a configuration for it if there is none
  --root DIR       install below this folder instead of /'

here=$(cd "$(dirname "$0")" && pwd)
. "$here/steps.sh"

type='' user=user archives=''
while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      say "$usage"
      exit 0
      ;;
    --root)
      set_root "${2-}"
      shift
      ;;
    --type | --user | --archives)
      [ -n "${2-}" ] || status=2 stop "$usage"
      case $1 in
        --type) type=$2 ;;
        --user) user=$2 ;;
        --archives) archives=$2 ;;
      esac
      shift
      ;;
    *) common_option "$1" || status=2 stop "$usage" ;;
  esac
  shift
done

if [ -z "$type" ]; then
  case $(qubesdb-read /qubes-vm-persistence 2>/dev/null || echo unknown) in
    rw-only) type=appvm ;;
    full) if [ "$(qubesdb-read /qubes-vm-type)" = TemplateVM ]; then type=template; else type=standalone; fi ;;
    none) stop "This is a disposable: everything that is installed here is lost when it stops. Use its template, or another qube." ;;
    *) status=2 stop "This does not seem to be a qube: give its type with --type." ;;
  esac
fi
case $type in
  appvm) local=/usr/local etc=/usr/local/etc config=/rw/config/sparsebak/receiver.toml ;;
  standalone) local=/usr/local etc=/usr/local/etc config=/etc/sparsebak/receiver.toml ;;
  # The qubes of a template do not get its /usr/local.
  template) local=/usr etc=/etc config=/etc/sparsebak/receiver.toml ;;
  *) status=2 stop "--type is appvm, template or standalone" ;;
esac
case $user in *[!a-z0-9_-]* | [!a-z_]*) status=2 stop "--user $user: not a valid user name" ;; esac
case $archives in
  '') ;;
  *[\"\\[:cntrl:]]*) status=2 stop "--archives: for such a name, write the configuration by hand" ;;
  */.. | */../* | */) status=2 stop "--archives $archives: give it without .. and without a / at its end" ;;
  /*) ;;
  *) status=2 stop "--archives needs an absolute path" ;;
esac

receiver=$here/../../dist/sparsebak-receiver.js
list=$local/lib/sparsebak/installed

check_root_user
if [ "$uninstall" = no ]; then
  # The services' PATH, not that of this shell.
  PATH=$root/usr/lib/sparsebak/node/bin:$root$local/bin:/usr/bin:/bin
  check_programs flock sync
  if [ -f "$receiver" ]; then check_node 20 0 "$receiver"; else problem "there is no $receiver: run \"npm run build\" first"; fi
  id -u "$user" >/dev/null 2>&1 || problem "there is no user $user here: choose another with --user"
  # A service finds its receiver relative to itself: from /etc by way of /lib.
  if [ "$type" = template ] && [ -z "$root" ] && [ "$(readlink -f /lib)" != /usr/lib ]; then problem "/lib is not /usr/lib here"; fi
  if [ -f "$receiver" ]; then put "$receiver" "$local/lib/sparsebak/sparsebak-receiver.js" 755; fi
  put_link ../lib/sparsebak/sparsebak-receiver.js "$local/bin/sparsebak-receiver"
  for service in sparsebak.Receive sparsebak.Retrieve sparsebak.Maintain; do
    put "$here/../services/$service" "$etc/qubes-rpc/$service" 755
    sed "s/^force-user='.*'/force-user='$user'/" "$here/../rpc-config/$service" >"$work/config"
    put "$work/config" "$etc/qubes/rpc-config/$service" 644
  done
fi

if [ "$uninstall" = no ] && [ -n "$archives" ] && ! is_there "$root$config"; then
  sed "s|@ARCHIVES@|$(printf '%s' "$archives" | sed 's/[&|]/\\&/g')|" "$here/receiver.toml" >"$work/receiver.toml"
  also="  new $root$config (archives in $archives while a disk is mounted there; you may change it, and --uninstall keeps it)"
fi

run_plan "sparsebak's receiver in this qube ($type)"
if [ "$uninstall" = yes ]; then
  say "Not removed: $config, and the archives."
  exit 0
fi
if [ -n "$also" ]; then
  replace "$work/receiver.toml" "$root$config"
elif [ -n "$archives" ]; then
  say "Not changed: $config, so --archives was not used."
elif ! is_there "$root$config"; then
  say "Still to do: create $config, which says where the archives are (docs/install-qubes.md); or run this again with --archives."
fi
if [ -n "$archives" ] && [ -z "$root" ]; then
  if ! mountpoint -q "$archives"; then
    warn "nothing is mounted at $archives now: the receiver refuses to write until a disk is"
  elif [ "$(stat -c %U "$archives")" != "$user" ]; then
    warn "$archives belongs to $(stat -c %U "$archives"), and the receiver runs as $user, who must be able to write there"
  fi
fi
