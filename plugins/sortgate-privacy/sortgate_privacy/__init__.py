"""Normalizers that mask e-mail addresses, phone numbers, card numbers, IBANs and IP addresses."""

from __future__ import annotations

from sortgate.plugins import Register, hookimpl
from sortgate_privacy.components import MaskAll, MaskCards, MaskEmails, MaskIBANs, MaskIPs, MaskPhones

__all__ = [
    "MaskAll",
    "MaskCards",
    "MaskEmails",
    "MaskIBANs",
    "MaskIPs",
    "MaskPhones",
    "sortgate_register_normalizers",
]


@hookimpl
def sortgate_register_normalizers(register: Register) -> None:
    """Register a normalizer for each kind, and one for several kinds."""
    register("privacy.mask_emails.v1", MaskEmails)
    register("privacy.mask_phones.v1", MaskPhones)
    register("privacy.mask_cards.v1", MaskCards)
    register("privacy.mask_ibans.v1", MaskIBANs)
    register("privacy.mask_ips.v1", MaskIPs)
    register("privacy.mask_all.v1", MaskAll)
