// A rate limit in front of a server: a flood gets its share and no more.
//
//   eth0: what arrives from the clients        eth1: what goes on to the server
//
// Three classes, served in this order:
//   urgent  names, pings, everything small     as it comes
//   uploads to the web server                  20,000 bytes a second
//   bulk    UDP to port 9999                   100 packets a second, the rest is dropped

FromDevice(eth0)
  -> kind :: Classifier(12/0800, -);

scheduler :: PrioSched -> ToDevice(eth1);

kind[0] -> ip :: CheckIPHeader(14)
  -> class :: IPClassifier(dst udp port 9999, dst tcp port 80, -);
ip[1] -> malformed :: Counter -> Discard;

class[2] -> urgent :: Counter -> urgent_queue :: Queue(200) -> [0] scheduler;
kind[1] -> urgent;

class[1] -> uploads :: Counter -> upload_queue :: Queue(200)
  -> BandwidthShaper(20000 Bps) -> uploads_sent :: Counter -> [1] scheduler;

class[0] -> bulk :: Counter -> bulk_queue :: Queue(20)
  -> Shaper(100) -> bulk_sent :: Counter -> [2] scheduler;
