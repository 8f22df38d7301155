#!/usr/bin/env python3
"""Works out, from the RFCs and the policy that README.md states, what becomes of each frame.

Writes expected/: how many frames each rule takes, and the frames that leave.
"""
import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, address, read_pcap, within, write_expected

SERVER = address("192.0.2.10")
NOT_OUTSIDE = ["192.0.2.0/24", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8"]
PASSED = ["arp", "web", "dns", "ssh", "answers", "ping"]
DROPPED = ["not_ip", "bad_ip", "fragments", "other_protocols", "bad_transport", "spoofed", "not_our_server",
           "bad_flags", "everything_else"]
RULES = PASSED + DROPPED


def verdict(frame):
    kind = frame[12:14]
    if kind == b"\x08\x06":
        return "arp"
    if kind != b"\x08\x00":
        return "not_ip"
    ip = IPv4(frame)
    if ip.fault:
        return "bad_ip"
    if ip.is_fragment:
        return "fragments"
    if ip.protocol not in (1, 6, 17):
        return "other_protocols"
    if ip.transport_fault():
        return "bad_transport"
    if any(within(ip.source, prefix) for prefix in NOT_OUTSIDE):
        return "spoofed"
    if ip.destination != SERVER:
        return "not_our_server"
    if ip.protocol == 1:
        return "ping" if ip.payload[0] == 8 else "everything_else"
    source, destination = ip.ports()
    if ip.protocol == 17:
        if destination == 53:
            return "dns"
        return "answers" if source == 53 and destination >= 1024 else "everything_else"
    fin, syn, reset, ack = (bool(ip.payload[13] & bit) for bit in (1, 2, 4, 16))
    if syn and (fin or reset):
        return "bad_flags"
    if destination == 80:
        return "web"
    if destination == 53:
        return "dns"
    if destination == 22 and within(ip.source, "198.51.100.192/26"):
        return "ssh"
    return "answers" if source == 80 and destination >= 1024 and ack else "everything_else"


def left(frame):
    """What leaves of a frame that may pass: padding after the IPv4 packet's end does not."""
    return frame[:IPv4(frame).end] if frame[12:14] == b"\x08\x00" else frame


capture = list(read_pcap(os.path.join(here, "capture.pcap")))
verdicts = [verdict(frame) for _, frame in capture]
write_expected(
    here,
    frames_in={"eth0": len(capture)},
    counts={f"{rule}.count": verdicts.count(rule) for rule in RULES},
    out={"eth1": [(time, left(frame)) for (time, frame), v in zip(capture, verdicts) if v in PASSED]},
    never={"eth1": [
        "ip and not dst host 192.0.2.10",
        "src net 192.0.2.0/24 or src net 10.0.0.0/8 or src net 127.0.0.0/8",
        "ip[6:2] & 0x3fff != 0",
        "tcp dst port 22 and not src net 198.51.100.192/26",
        "tcp[tcpflags] & (tcp-syn|tcp-fin) == (tcp-syn|tcp-fin)",
        "icmp and icmp[icmptype] != icmp-echo",
        "not arp and not ip",
    ]},
)
