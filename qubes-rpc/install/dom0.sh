#!/bin/sh
# Installs the agent, the policy and the udev rule in dom0.
usage='usage: dom0.sh [--dry-run] [--yes] [--force] [--uninstall] [--root DIR]

Installs sparsebak in dom0: the program, the policy that denies the services of the backup qube to other qubes, and the udev rule that keeps
other programs away from snapshots. It shows what it will do, and asks.

  --dry-run     only show it
  --yes         do not ask
  --force       also replace or remove files that were changed by hand
  --uninstall   remove what was installed; the configuration and the keys stay
  --root DIR    install below this folder instead of /'

here=$(cd "$(dirname "$0")" && pwd)
. "$here/steps.sh"

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
    *) common_option "$1" || status=2 stop "$usage" ;;
  esac
  shift
done

agent=$here/../../dist/sparsebak.js
policy=$here/../policy.d/30-sparsebak.policy
rule=$here/../udev/12-sparsebak.rules
list=/usr/local/lib/sparsebak/installed

check_root_user
if [ "$uninstall" = no ]; then
  check_programs qrexec-client qvm-start flock sync
  if [ -f "$agent" ]; then check_node 22 15 "$agent"; else problem "there is no $agent: run \"npm run build\" first"; fi
  if [ -d "$root/etc/qubes/policy.d" ]; then
    # A single file with an invalid name makes every call on the system fail.
    for file in "$root"/etc/qubes/policy.d/*.policy; do
      case ${file##*/} in
        '*.policy' | .*) ;;
        *[!0-9a-z_.-]*) warn "qrexec does not accept a policy file named ${file##*/}, and refuses every call because of it" ;;
      esac
    done
    if command -v qubes-policy-lint >/dev/null; then
      qubes-policy-lint "$policy" >&2 || problem "qubes-policy-lint reports errors in $policy"
    fi
  else
    problem "there is no $root/etc/qubes/policy.d: is this dom0 of Qubes 4.1 or newer?"
  fi
  if [ -f "$agent" ]; then put "$agent" /usr/local/lib/sparsebak/sparsebak.js 755; fi
  put_link ../lib/sparsebak/sparsebak.js /usr/local/bin/sparsebak
  put "$policy" /etc/qubes/policy.d/30-sparsebak.policy 644
  # udev notices the change of the folder by itself.
  put "$rule" /etc/udev/rules.d/12-sparsebak.rules 644
fi

run_plan "sparsebak in dom0"
if [ "$uninstall" = yes ]; then
  say "Not removed: /etc/sparsebak (configuration) and /var/lib/sparsebak (keys: without these, and without the passphrase or the"
  say "recovery key, the archives cannot be read)."
fi
