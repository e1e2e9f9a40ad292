//! Kinds of evidence: what is seen in different ways, so that two of them are two witnesses.

use davylamp_content::detection::{Detection, Wire};

/// A kind of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// How it was started.
    Command,
    /// What it says on the wire.
    Protocol,
    /// Whom it looks up or greets.
    Name,
    /// Its connections' rhythm and number.
    Flow,
    /// What stands in its file.
    File,
    /// How it computes.
    Compute,
    /// What memory it takes.
    Memory,
    /// How much it computes, and for how long.
    Use,
    /// What it does with a graphics card.
    Gpu,
    /// Code that it brought along without a file, or as a module.
    Code,
}

impl Kind {
    /// The kind of what a detection finds.
    pub fn of(detection: &Detection) -> Self {
        detection
            .sees
            .first()
            .map_or(Self::Command, |seen| Self::of_seen(*seen))
    }

    fn of_seen(seen: Wire) -> Self {
        match seen {
            Wire::PoolNameLookup
            | Wire::PoolNameInTls
            | Wire::PoolAddress
            | Wire::BannedAddress
            | Wire::EncryptedDns => Self::Name,
            Wire::MinerFile | Wire::PackedFile | Wire::FilelessProgram => Self::File,
            Wire::ThinFlow | Wire::ThinFlowInTlsWithoutName | Wire::ManyDestinations => Self::Flow,
            Wire::RandomXRounding | Wire::DirectedRounding => Self::Compute,
            Wire::HugePages => Self::Memory,
            Wire::SteadyUse => Self::Use,
            Wire::GpuWithoutFramework => Self::Gpu,
            Wire::AnonymousCode | Wire::MiningModule => Self::Code,
            _ => Self::Protocol,
        }
    }
}
