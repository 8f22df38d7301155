#!/bin/sh
# Asks for the page http://192.0.2.80/ ten times a second until it is told to end (SIGTERM). Then it says
# how often each server answered, and how often none did within five seconds.
set -u

answers=$(mktemp)
ending=
trap 'ending=yes' TERM
while [ -z "$ending" ]; do
    curl --silent --max-time 5 http://192.0.2.80/ >> "$answers" || echo "no answer" >> "$answers"
    sleep 0.1
done
sort "$answers" | uniq -c
rm "$answers"
