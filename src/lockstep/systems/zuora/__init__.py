"""Zuora: accounts with the subscriptions that hang on them, as they should be and as they are.

Nothing here was ever compared with a real tenant: it follows Zuora's public documents.
"""

from lockstep.systems.zuora.models import Account, Contact, Rate, Rates, Subscription, Term, Tier
from lockstep.systems.zuora.tables.callouts import Callouts

__all__ = ["Account", "Callouts", "Contact", "Rate", "Rates", "Subscription", "Term", "Tier"]
