/** A configuration with every field: those that most people need, the others commented out with their defaults. */
export const EXAMPLE = `# Configuration of sparsebak. Check it with: sparsebak config check
# A line that begins with # is off; it shows the default, or an example where there is none.

# Where the backup goes: "local:/folder", "ssh://user@host/folder", or from dom0 "qubes://VM".
destination = "local:/srv/backup"
archive     = "laptop"

# Folder of keys and records. Whoever has it can read the archive.
# state_dir = "/var/lib/sparsebak"

# "full": send new volumes without --full.
# initial = "ask-full"

# Bytes of unchanged content that are read again and compared, per volume and day.
# reread_per_day = 1073741824

# How a qubes:// destination is called: "qrexec-client" or "qvm-run".
# qubes_client = "qrexec-client"

# When "send --autoprune" prunes: "policy", after each send; "space", only while the backup disk runs low.
# autoprune = "policy"
# low_space = "10%"

# For Prometheus' node exporter (textfile collector).
# metrics_file = "/var/lib/prometheus/node-exporter/sparsebak.prom"

# In dom0 of Qubes: which qubes. Their volumes, settings and pools are found by themselves.
# [qubes]
# include   = ["@include_in_backups"]
# exclude   = ["sys-*"]
# dom0_home = false
# state     = "running"
# full_at   = 90
# socket    = "/var/run/qubesd.sock"

# Elsewhere, the volumes: a folder on Btrfs or XFS.
[pool.main]
type    = "reflink"
path    = "/var/lib/libvirt/images"
volumes = ["*"]
# exclude = ["scratch*"]
# volumes_from = "volumes.txt"
# state = "running"
# follow_symlinks = false

# A thin pool of LVM.
# [pool.thin]
# type     = "lvm-thin"
# vgname   = "qubes_dom0"
# poolname = "vm-pool"
# volumes  = ["vm-*-private"]
# full_at  = 90

# Any files or block devices: each send reads them completely.
# [pool.others]
# type    = "file"
# path    = "/srv/images"
# volumes = ["*.img"]
# live    = false

# What "prune" and "send --autoprune" keep.
[retention]
keep_daily   = 14
keep_weekly  = 8
keep_monthly = 12
# keep_last = 3
# keep_hourly = 24
# keep_yearly = 5
# keep_within = "30d"
# keep_tag = ["keep"]

# Who is told how a run ended: on "failure", on failure and when something is "overdue", or "always".
# [notify]
# on      = "failure"
# command = ["/usr/local/bin/tell-me"]
# desktop = false

# What counts as overdue.
# [overdue]
# monitor = "2h"
# send    = "2d"
# verify  = "30d"

# Commands before and after a send, and before and after the snapshot of each volume.
# [hooks]
# before_send   = ["/usr/local/bin/mount-backup"]
# after_send    = ["/usr/local/bin/umount-backup"]
# before_volume = ["/usr/local/bin/freeze"]
# after_volume  = ["/usr/local/bin/thaw"]
# time_limit    = 300

# A second archive: sparsebak --archive second send
# [archives.second]
# destination = "ssh://backup@nas/srv/backup"
`;
