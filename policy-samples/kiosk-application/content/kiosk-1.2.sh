#!/bin/sh
# The kiosk of example.org: shows one page, and shows it again if its browser ends.
. /etc/kiosk/kiosk.conf
while :; do
    "$BROWSER" --kiosk "$PAGE"
    sleep 1
done
