//! The VLAN tag that encapsulating elements are configured with.

use alloc::format;
use alloc::string::{String, ToString};

use sprat_click::arguments::{Argument, ArgumentError, Names};
use sprat_click::{Arguments, Context, HandlerError, HandlerList, Rejected};
use sprat_packet::Packet;
use sprat_packet::annotations::VLAN_TCI;

/// The bits of the control information that number the VLAN.
const IDENTIFIER: u16 = 0x0fff;

/// Those that give its priority.
const PRIORITY: u16 = 0xe000;

/// The control information of the packet's VLAN annotation.
pub(super) fn annotation(packet: &Packet) -> u16 {
    let annotations = packet.annotations();
    u16::from_be_bytes([annotations.byte(VLAN_TCI), annotations.byte(VLAN_TCI + 1)])
}

/// Sets the packet's VLAN annotation, which is kept in network order.
pub(super) fn set_annotation(packet: &mut Packet, control: u16) {
    packet.set_annotation(VLAN_TCI, &control.to_be_bytes());
}

/// A VLAN's number, 0 to 4,095.
struct Identifier(u16);

impl Argument for Identifier {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match u16::parse(text, names)? {
            identifier if identifier <= IDENTIFIER => Ok(Self(identifier)),
            _ => Err(ArgumentError::OutOfRange {
                bound: i128::from(IDENTIFIER),
            }),
        }
    }
}

/// A priority, 0 to 7.
struct Priority(u16);

impl Argument for Priority {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        match u16::parse(text, names)? {
            priority if priority <= 7 => Ok(Self(priority)),
            _ => Err(ArgumentError::OutOfRange { bound: 7 }),
        }
    }
}

/// The VLAN that gets no tag; none where it is -1.
#[derive(Clone, Copy, Debug)]
struct Native(Option<u16>);

impl Argument for Native {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if text == "-1" {
            return Ok(Self(None));
        }
        Identifier::parse(text, names).map(|identifier| Self(Some(identifier.0)))
    }
}

/// VLAN_TCI: a number, or `ANNO`.
struct Control(Option<u16>);

impl Argument for Control {
    fn parse(text: &str, names: &dyn Names) -> Result<Self, ArgumentError> {
        if text == "ANNO" {
            return Ok(Self(None));
        }
        u16::parse(text, names).map(|control| Self(Some(control)))
    }
}

/// What tag packets get.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tag {
    /// The control information; that of the annotation where it is missing.
    control: Option<u16>,
    /// The VLAN that gets no tag, unless the tag is that of every packet.
    native: Option<Native>,
}

impl Tag {
    /// Reads VLAN_TCI or VLAN_ID, VLAN_PCP and NATIVE_VLAN.
    pub(super) fn configure(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        let control = Self::configure_control(arguments)?;
        let native = arguments.keyword("NATIVE_VLAN").unwrap_or(Native(Some(0)));
        Ok(Self {
            control,
            native: Some(native),
        })
    }

    /// Reads the same without NATIVE_VLAN, for the tag of every packet.
    pub(super) fn configure_fixed(arguments: &mut Arguments<'_>) -> Result<Self, Rejected> {
        match Self::configure_control(arguments)? {
            None => Err(arguments.error("VLAN_TCI: invalid number")),
            control => Ok(Self {
                control,
                native: None,
            }),
        }
    }

    /// Reads VLAN_TCI or VLAN_ID, and VLAN_PCP; `None` for the annotation.
    fn configure_control(arguments: &mut Arguments<'_>) -> Result<Option<u16>, Rejected> {
        let identifier = arguments
            .keyword::<Identifier>("VLAN_ID")
            .or_else(|| arguments.keyword::<Identifier>("ID"));
        let given = arguments.position::<Control>("VLAN_TCI");
        let control = match (given, identifier) {
            (Some(Control(control)), _) => control,
            (None, Some(Identifier(identifier))) => Some(identifier),
            (None, None) => Some(0),
        };
        let priority = arguments.position::<Priority>("VLAN_PCP");
        match (control, priority) {
            (Some(control), Some(Priority(priority))) => Ok(Some(control | priority << 13)),
            (control, _) => Ok(control),
        }
    }

    /// The control information of `packet`'s tag; `None` where it gets no tag.
    #[inline]
    pub(super) fn control(&self, packet: &Packet) -> Option<u16> {
        let control = self.control.unwrap_or_else(|| annotation(packet));
        let native = self.native.and_then(|native| native.0);
        (native != Some(control & IDENTIFIER)).then_some(control)
    }

    /// The number of the VLAN that gets no tag as Click tells it, who says nothing of zero.
    fn native_text(&self) -> Option<String> {
        match self.native? {
            Native(Some(0)) => None,
            Native(native) => Some(native.unwrap_or(u16::MAX).to_string()),
        }
    }

    /// The arguments that it has now.
    pub(super) fn configuration(&self) -> String {
        let mut text = match self.control {
            None => "ANNO".into(),
            Some(control) => format!(
                "VLAN_ID {}, VLAN_PCP {}",
                control & IDENTIFIER,
                control >> 13
            ),
        };
        if let Some(native) = self.native_text() {
            text += ", NATIVE_VLAN ";
            text += &native;
        }
        text
    }

    pub(super) fn handlers(list: &mut HandlerList) {
        Self::control_handlers(list);
        list.read_write("native_vlan");
    }

    /// The handlers of a tag of every packet.
    pub(super) fn control_handlers(list: &mut HandlerList) {
        list.read_write("vlan_tci")
            .read_write("vlan_id")
            .read_write("vlan_pcp");
    }

    pub(super) fn has_handler(name: &str) -> bool {
        matches!(name, "vlan_tci" | "vlan_id" | "vlan_pcp" | "native_vlan")
    }

    pub(super) fn read(&self, name: &str) -> Result<String, HandlerError> {
        // Click reads all but the first in its configuration, where they may be missing.
        let text = |value: Option<u16>, otherwise: &str| {
            value.map_or_else(|| otherwise.into(), |value| value.to_string())
        };
        match name {
            "vlan_tci" => Ok(text(self.control, "ANNO")),
            "vlan_id" => Ok(text(self.control.map(|control| control & IDENTIFIER), "")),
            "vlan_pcp" => Ok(text(self.control.map(|control| control >> 13), "")),
            "native_vlan" => Ok(self.native_text().unwrap_or_default()),
            _ => Err(HandlerError::NoHandler(name.into())),
        }
    }

    pub(super) fn write(
        &mut self,
        context: &Context<'_>,
        name: &str,
        value: &str,
    ) -> Result<(), HandlerError> {
        // What is written takes the place of the argument in the configuration, or joins it: the
        // priority stays, and beside ANNO numbers change nothing.
        let priority = self.control.unwrap_or(0) & PRIORITY;
        match name {
            "vlan_tci" => {
                let Control(control) = crate::argument_value(context, name, value)?;
                self.control = control.map(|control| control | priority);
            }
            "vlan_id" => {
                let Identifier(identifier) = crate::argument_value(context, name, value)?;
                self.control = self.control.map(|_| identifier | priority);
            }
            "vlan_pcp" => {
                let Priority(priority) = crate::argument_value(context, name, value)?;
                let set = |control| control & IDENTIFIER | priority << 13;
                self.control = self.control.map(set);
            }
            "native_vlan" => self.native = Some(crate::argument_value(context, name, value)?),
            _ => return Err(HandlerError::NoHandler(name.into())),
        }
        Ok(())
    }
}
