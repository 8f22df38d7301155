#!/usr/bin/env python3
"""Translates by hand what the NAT must translate.

expect.py [RECORDED]: with the recording of untranslated answers, first writes internet.pcap:
the same answers, sent to the public address and port that the flow must have. Then writes
expected/ from customers.pcap and internet.pcap.

The rules are those of the comment in nat.click: a block of ports for each customer, half for
TCP and half for UDP, given out in order, no new flow when the block is full.
"""
import os
import struct
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "tools"))
from frames import IPv4, address, checksum, read_pcap, write_expected, write_pcap

CUSTOMERS = {address(f"100.64.0.{n}"): n for n in range(1, 9)}
UPLINK = bytes.fromhex("020000000101" "0200000001fe" "0800")
DOWNLINK = bytes.fromhex("020000000001" "0200000000fe" "0800")
GATEWAY, GATEWAY_ETHER = address("100.64.0.254"), bytes.fromhex("0200000000fe")


class Translation:
    def __init__(self):
        self.given = {}  # (protocol, customer number) -> how many flows have a port
        self.out = {}    # (protocol, address, port, far address, far port) -> (public address, port)
        self.back = {}   # (protocol, public address, port, far address, far port) -> (address, port)

    def public(self, protocol, source, sport, destination, dport):
        flow = (protocol, source, sport, destination, dport)
        if flow not in self.out:
            number = CUSTOMERS[source]
            given = self.given.get((protocol, number), 0)
            if given == 64:
                return None
            self.given[protocol, number] = given + 1
            first = 1024 + (number - 1) % 4 * 128 + (64 if protocol == 17 else 0)
            public = address("198.51.100.1" if number <= 4 else "198.51.100.2"), first + given
            self.out[flow] = public
            self.back[(protocol, *public, destination, dport)] = (source, sport)
        return self.out[flow]


def rewritten(ip, source, sport, destination, dport, ttl):
    """The packet with other addresses, ports and lifetime, its checksums made anew."""
    at = {6: 16, 17: 6}[ip.protocol]
    payload = struct.pack("!HH", sport, dport) + ip.payload[4:]
    if not (ip.protocol == 17 and payload[6:8] == b"\0\0"):
        payload = payload[:at] + b"\0\0" + payload[at + 2:]
        pseudo = source + destination + struct.pack("!BBH", 0, ip.protocol, len(payload))
        sum_ = checksum(pseudo + payload)
        if ip.protocol == 17 and sum_ == 0:
            sum_ = 0xFFFF
        payload = payload[:at] + struct.pack("!H", sum_) + payload[at + 2:]
    header = ip.header[:8] + bytes([ttl, ip.protocol]) + b"\0\0" + source + destination + ip.header[20:]
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def run(customers, internet):
    """Both captures in the order of their timestamps; what leaves and what is counted."""
    nat = Translation()
    counts = dict.fromkeys(["from_customers", "from_internet", "translated_out", "translated_in", "untranslatable",
                            "not_a_customer", "expired", "bad_ip", "not_ip"], 0)
    out = {"eth0": [], "eth1": []}
    for time, device, frame in sorted(
            [(t, "eth0", f) for t, f in customers] + [(t, "eth1", f) for t, f in internet], key=lambda item: item[0]):
        if device == "eth0" and frame[12:14] + frame[20:22] == b"\x08\x06\x00\x01":
            if frame[38:42] == GATEWAY:
                out["eth0"].append((time, frame[6:12] + GATEWAY_ETHER + frame[12:20] + b"\x00\x02" + GATEWAY_ETHER
                                    + GATEWAY + frame[22:32]))
            continue
        if frame[12:14] != b"\x08\x00":
            counts["not_ip"] += 1
            continue
        ip = IPv4(frame)
        assert not ip.fault and not ip.is_fragment
        known = ip.protocol in (6, 17)
        if device == "eth0":
            counts["from_customers"] += 1
            if ip.source not in CUSTOMERS:
                counts["not_a_customer"] += 1
            elif not known:
                counts["untranslatable"] += 1
            else:
                sport, dport = ip.ports()
                public = nat.public(ip.protocol, ip.source, sport, ip.destination, dport)
                if public:
                    counts["translated_out"] += 1
                    if ip.ttl > 1:
                        packet = rewritten(ip, *public, ip.destination, dport, ip.ttl - 1)
                        out["eth1"].append((time, UPLINK + packet))
                    else:
                        counts["expired"] += 1
        else:
            counts["from_internet"] += 1
            if not known:
                counts["untranslatable"] += 1
                continue
            sport, dport = ip.ports()
            inside = nat.back.get((ip.protocol, ip.destination, dport, ip.source, sport))
            if inside:
                counts["translated_in"] += 1
                out["eth0"].append((time, DOWNLINK + rewritten(ip, ip.source, sport, *inside, ip.ttl - 1)))
    return counts, out


customers = list(read_pcap(os.path.join(here, "customers.pcap")))
if len(sys.argv) > 1:
    nat = Translation()
    for _, frame in customers:
        ip = IPv4(frame)
        if frame[12:14] == b"\x08\x00" and ip.protocol in (6, 17) and ip.source in CUSTOMERS:
            sport, dport = ip.ports()
            nat.public(ip.protocol, ip.source, sport, ip.destination, dport)
    answers = []
    for time, frame in read_pcap(sys.argv[1]):
        ip = IPv4(frame)
        if frame[12:14] == b"\x08\x00" and ip.destination in CUSTOMERS and ip.protocol in (6, 17):
            sport, dport = ip.ports()
            public = nat.out.get((ip.protocol, ip.destination, dport, ip.source, sport))
            if public is None:
                continue  # an answer to what the NAT did not let out
            frame = frame[:14] + rewritten(ip, ip.source, sport, *public, ip.ttl)
        elif frame[12:14] == b"\x08\x00" and ip.destination == address("100.64.0.9"):
            continue
        answers.append((time, frame))
    write_pcap(os.path.join(here, "internet.pcap"), answers)

internet = list(read_pcap(os.path.join(here, "internet.pcap")))
counts, out = run(customers, internet)
write_expected(
    here,
    frames_in={"eth0": len(customers), "eth1": len(internet)},
    counts={f"{name}.count": count for name, count in counts.items()},
    out=out,
    never={
        "eth0": ["src net 100.64.0.0/24 and ip", "host 203.0.113.66", "ip and dst net 198.51.100.0/24"],
        "eth1": ["net 100.64.0.0/10", "ip and not src host 198.51.100.1 and not src host 198.51.100.2", "icmp",
                 "src portrange 0-1023 or src portrange 1536-65535"],
    },
)
