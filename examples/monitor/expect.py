#!/usr/bin/env python3
"""Adds up the frames of capture.pcap by host and by application; writes expected/."""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, address, read_pcap, write_expected

HOSTS = {address(f"10.1.0.{n}"): name for n, name in enumerate(["alice", "bob", "carol", "dave"], 1)}
NAMES = [*HOSTS.values(), "others", "web", "dns", "ssh", "ping", "something_else"]

frames = list(read_pcap(os.path.join(here, "capture.pcap")))
counts = {f"{name}.{what}": 0 for name in NAMES for what in ("count", "byte_count")}
counts |= {"all.count": len(frames), "not_ip.count": 0, "malformed.count": 0}


def application(ip):
    if ip.protocol == 1:
        return "ping"
    if ip.protocol in (6, 17):
        ports = ip.ports()
        if 53 in ports:
            return "dns"
        if ip.protocol == 6 and 80 in ports:
            return "web"
        if ip.protocol == 6 and 22 in ports:
            return "ssh"
    return "something_else"


for _, frame in frames:
    if frame[12:14] != b"\x08\x00":
        counts["not_ip.count"] += 1
        continue
    ip = IPv4(frame)
    assert not ip.fault and not ip.is_fragment
    for name in (HOSTS.get(ip.source) or HOSTS.get(ip.destination) or "others", application(ip)):
        counts[f"{name}.count"] += 1
        counts[f"{name}.byte_count"] += ip.end

write_expected(here, frames_in={"eth0": len(frames)}, counts=counts, out={}, never={},
               same={"eth1": "capture.pcap"})
