// One of each of the classes that firewalls, translators, balancers and routers are made of. `cargo
// xtask bench size` builds an image of them: it is there to be measured, not to be run.
FromDevice(eth0) -> c0 :: Classifier(12/0806 20/0001, 12/0806 20/0002, 12/0800, -);
PollDevice(eth1) -> HostEtherFilter(00:00:00:00:00:01) -> Discard;
FromDump(a.pcap) -> ToDump(b.pcap);
q :: Queue -> td :: ToDevice(eth0);
c0[0] -> ARPResponder(10.0.0.1 1:2:3:4:5:6) -> q;
c0[1] -> [1] arpq :: ARPQuerier(10.0.0.1, 1:2:3:4:5:6) -> q;
c0[3] -> Print(x) -> EtherMirror -> EtherRewrite(1:2:3:4:5:6, 1:2:3:4:5:7) -> q;
c0[2] -> Strip(14) -> MarkIPHeader -> CheckIPHeader -> IPPrint -> IPFilter(allow all) -> f :: IPClassifier(tcp, udp, icmp, -);
f[0] -> CheckTCPHeader -> SetTCPChecksum -> rw :: IPRewriter(pattern 1.1.1.1 1024-2048 - - 0 1);
f[1] -> CheckUDPHeader -> SetUDPChecksum -> [1] rw2 :: IPAddrPairRewriter(pattern 1.1.1.1 - 0 1, drop);
Idle -> rw2; rw2[0] -> Discard; rw2[1] -> Discard;
f[2] -> CheckICMPHeader -> ICMPPingResponder -> Discard;
f[3] -> GetIPAddress(16) -> SetIPAddress(1.2.3.4) -> StoreIPAddress(16) -> SetIPChecksum -> FixIPSrc(1.2.3.4) -> IPGWOptions(1.2.3.4) -> dt :: DecIPTTL -> IPFragmenter(1500) -> s :: StaticIPLookup(0/0 0);
s -> r :: RadixIPLookup(0/0 0) -> l :: LinearIPLookup(0/0 0) -> arpq;
dt[1] -> ICMPError(1.2.3.4, timeexceeded) -> s2 :: StripToNetworkHeader -> Unstrip(14) -> Truncate(60) -> EtherEncap(0x0800, 1:2:3:4:5:6, 2:3:4:5:6:7) -> q;
rw[0] -> Counter -> Tee(1) -> Switch(0) -> Paint(1) -> CheckPaint(1) -> Discard;
rw[1] -> PaintSwitch -> RoundRobinSwitch -> HashSwitch(26, 4) -> RandomSwitch -> Discard;
InfiniteSource(LIMIT 1) -> SimpleQueue -> Unqueue -> ThreadSafeQueue -> RatedUnqueue(10) -> Discard;
RatedSource(RATE 1) -> Queue -> Shaper(10) -> rr :: RoundRobinSched -> Discard;
TimedSource(1) -> Queue -> BandwidthShaper(1000) -> ps :: PrioSched -> Discard;
t :: TCPRewriter(pattern 1.1.1.1 1024-2048 - - 0 1); Idle -> t; t[0] -> Discard; t[1] -> Discard;
AddressInfo(me 1.2.3.4);
Script(wait 1s, stop); DriverManager(pause);
