//! What ports are part of: joins and bridges.

use super::bridge::Bridge;
use super::spread::Targets;
use super::{
    BridgeId, Bridged, EthernetAddress, Join, JoinId, Membership, Network, PortId, Side, Switch,
    Vlan, number,
};

impl Switch {
    /// Adds a join without members.
    pub fn add_join(&mut self) -> JoinId {
        self.joins.push(Join {
            left: Targets::new(),
            right: Targets::new(),
        });
        JoinId(number(self.joins.len() - 1))
    }

    /// Makes a port a member of a join, with a share of the conversations, or changes its share.
    pub fn join(&mut self, join: JoinId, side: Side, port: PortId, share: u32) {
        let network = Network::Join {
            join: join.0 as usize,
            side,
        };
        if self.ports[port.index()].network != network {
            self.leave(port);
            self.ports[port.index()].network = network;
        }
        self.joins[join.0 as usize].side_mut(side).set(port, share);
    }

    /// A join of two ports.
    pub fn wire(&mut self, one: PortId, other: PortId) -> JoinId {
        let join = self.add_join();
        self.join(join, Side::Left, one, 1);
        self.join(join, Side::Right, other, 1);
        join
    }

    /// Adds a bridge without members.
    pub fn add_bridge(&mut self) -> BridgeId {
        self.bridges.push(Bridged {
            bridge: Bridge::new(),
            ports: Vec::new(),
        });
        BridgeId(number(self.bridges.len() - 1))
    }

    /// Makes a port a member of a bridge.
    pub fn bridge(&mut self, bridge: BridgeId, port: PortId, membership: Membership) {
        self.leave(port);
        let bridge = bridge.0 as usize;
        let bridged = &mut self.bridges[bridge];
        let member = bridged.bridge.join(membership);
        bridged.ports.push(port.index());
        self.ports[port.index()].network = Network::Bridge { bridge, member };
    }

    /// Takes a port out of what it is part of.
    pub fn leave(&mut self, port: PortId) {
        let network = std::mem::replace(&mut self.ports[port.index()].network, Network::None);
        match network {
            Network::None => {}
            Network::Join { join, side } => self.joins[join].side_mut(side).remove(port),
            Network::Bridge { bridge, member } => self.bridges[bridge].bridge.leave(member),
        }
    }

    /// The addresses that a bridge has seen: VLAN, address, port, and how long ago, in nanoseconds.
    pub fn addresses(
        &self,
        bridge: BridgeId,
    ) -> impl Iterator<Item = (Vlan, EthernetAddress, PortId, u64)> + '_ {
        let bridged = &self.bridges[bridge.0 as usize];
        let addresses = bridged.bridge.addresses(self.now);
        addresses.map(|(vlan, address, member, ago)| {
            (vlan, address, PortId(number(bridged.ports[member])), ago)
        })
    }
}
