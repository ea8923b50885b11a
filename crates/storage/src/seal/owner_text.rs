use std::fmt::{self, Write as _};

use crate::Owner;

/// An owner's text, `platform` or `ten_…`, without an allocation: it is part of whatever is sealed.
pub(super) struct OwnerText {
    bytes: [u8; LONGEST],
    length: usize,
}

/// Four letters of kind and 32 digits.
const LONGEST: usize = 36;

impl OwnerText {
    pub(super) fn of(owner: Owner) -> Self {
        let mut text = Self { bytes: [0; LONGEST], length: 0 };
        write!(text, "{owner}").expect("an owner's text fits");
        text
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl fmt::Write for OwnerText {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.bytes.get_mut(self.length..self.length + more.len()).ok_or(fmt::Error)?;
        room.copy_from_slice(more.as_bytes());
        self.length += more.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use model::{ManualClock, SeededEntropy, TenantId, Timestamp, UserId};

    use super::*;

    #[test]
    fn every_owner_fits() {
        let (clock, entropy) = (ManualClock::at(Timestamp::from_seconds(1)), SeededEntropy::new(1));
        let (tenant, user) = (TenantId::new(&clock, &entropy), UserId::new(&clock, &entropy));
        for owner in [Owner::Platform, Owner::Tenant(tenant), Owner::User(user)] {
            assert_eq!(OwnerText::of(owner).as_bytes(), owner.to_string().as_bytes());
        }
    }
}
