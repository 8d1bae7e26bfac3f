"""What travels to a cluster: the code, and nothing that Git ignores or that looks like a secret or like data."""

from tuning.shipping.chosen import Shipped, ShippingError, code_digest, listing, shipped_code, staged
from tuning.shipping.patterns import DATA, SECRETS, why_withheld

__all__ = [
    "DATA",
    "SECRETS",
    "Shipped",
    "ShippingError",
    "code_digest",
    "listing",
    "shipped_code",
    "staged",
    "why_withheld",
]
