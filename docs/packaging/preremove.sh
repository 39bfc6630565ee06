#!/bin/sh
# dpkg says remove or upgrade, rpm how many are left. What postinstall compiled belongs to no package.
set -e
case "$1" in 1) exit 0 ;; esac
find /usr/lib/vip-inspector -depth -name __pycache__ -exec rm -rf {} +
case "$1" in upgrade) exit 0 ;; esac
if [ -d /run/systemd/system ]; then systemctl disable --now inspector-watch.service || true; fi
