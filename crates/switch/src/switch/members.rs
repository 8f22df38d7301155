//! What ports are part of: joins, alone or in lines, and bridges.

use super::bridge::Bridge;
use super::line::{Line, Spot};
use super::spread::Targets;
use super::{
    BridgeId, Bridged, EthernetAddress, Join, JoinId, LineId, Membership, Network, PortId,
    Selection, Side, Switch, Vlan, number,
};

impl Switch {
    /// Adds a join without members.
    pub fn add_join(&mut self) -> JoinId {
        self.joins.push(Join {
            left: Targets::new(),
            right: Targets::new(),
            spot: None,
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

    /// Says which conversations that begin from now on a member of a join asks for, beside those that fall
    /// into its share.
    pub fn select(&mut self, join: JoinId, side: Side, port: PortId, selection: Selection) {
        let targets = self.joins[join.0 as usize].side_mut(side);
        targets.select(port, selection);
    }

    /// A join of two ports.
    pub fn wire(&mut self, one: PortId, other: PortId) -> JoinId {
        let join = self.add_join();
        self.join(join, Side::Left, one, 1);
        self.join(join, Side::Right, other, 1);
        join
    }

    /// Adds a line without joins.
    pub fn add_line(&mut self) -> LineId {
        self.lines.push(Line::new());
        LineId(number(self.lines.len() - 1))
    }

    /// Makes a join part of a line: the one that `hop` others come before, from the left. What
    /// instances send over it from addresses that are at home where it goes is dropped.
    pub fn align(&mut self, join: JoinId, line: LineId, hop: u16) {
        let line = line.0 as usize;
        self.joins[join.0 as usize].spot = Some(Spot { line, hop });
    }

    /// Says which addresses the instances of a line have, by their places from the left, of which the
    /// first is 1, and which ports may send from any address.
    pub fn set_addresses(
        &mut self,
        line: LineId,
        own: &[(EthernetAddress, u16)],
        trusted: Vec<PortId>,
    ) {
        self.lines[line.0 as usize].set(own, trusted);
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
