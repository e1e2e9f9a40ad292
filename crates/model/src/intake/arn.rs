//! The parts of an Amazon resource name.

use crate::ids::is_region;
use crate::resource::Place;

/// An ARN's parts.
#[derive(Debug, Clone, Copy)]
pub(super) struct ArnParts<'a> {
    pub(super) service: &'a str,
    pub(super) region: &'a str,
    pub(super) account: &'a str,
    pub(super) resource: &'a str,
}

impl<'a> ArnParts<'a> {
    /// The parts of an ARN; `None` for what cannot be one.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        if text.len() > 2048 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut parts = text.splitn(6, ':');
        let (arn, _partition) = (parts.next()?, parts.next()?);
        let (service, region) = (parts.next()?, parts.next()?);
        let (account, resource) = (parts.next()?, parts.next()?);
        if arn != "arn" || service.is_empty() || resource.is_empty() {
            return None;
        }
        // EventBridge writes some EC2 ARNs as `arn:aws:ec2::us-east-1:snapshot/…`: the region
        // stands where the account should.
        let (region, account) = if region.is_empty() && is_region(account) {
            (account, "")
        } else {
            (region, account)
        };
        Some(Self {
            service,
            region,
            account,
            resource,
        })
    }

    /// The resource's name behind `kind/` or `kind:`.
    pub(super) fn named(self, kind: &str) -> Option<&'a str> {
        self.resource
            .strip_prefix(kind)?
            .strip_prefix(['/', ':'])
            .filter(|name| !name.is_empty())
    }

    /// Whether the ARN leaves open, or says itself, that it belongs to this account.
    pub(super) fn belongs_to(self, place: Option<&Place>) -> bool {
        self.account.is_empty() || place.is_none_or(|place| place.account.as_str() == self.account)
    }
}
