"""What objects have: their fields and relations, as describe lists them.

Names are those of records; describe writes them with a capital. A field is `name`, or `name=type`; a text
where no type stands.
"""

from __future__ import annotations

from typing import NamedTuple

from .accounts import ACCOUNT, CONTACT

_STAMPS = "id createdDate=datetime updatedDate=datetime createdById updatedById"
_SALE = "effectiveStartDate=date effectiveEndDate=date"
_TIER = "currency tier=integer startingUnit=decimal endingUnit=decimal price=decimal priceFormat=picklist"
_CHARGE = "name chargeModel=picklist chargeType=picklist billingPeriod=picklist billingTiming=picklist"
_ENDS = "triggerEvent=picklist endDateCondition=picklist upToPeriods=integer upToPeriodsType uOM"

_FIELDS = {
    "Account": "accountNumber name currency status=picklist billToId soldToId shipToId balance=decimal batch "
    "totalInvoiceBalance=decimal creditBalance=decimal unappliedBalance=decimal billCycleDay=integer "
    "autoPay=boolean paymentTerm crmId notes parentId salesRep",
    "Contact": "accountId firstName lastName nickName workEmail personalEmail workPhone homePhone "
    "mobilePhone otherPhone otherPhoneType fax address1 address2 city county state postalCode country "
    "taxRegion description",
    "Product": f"name sKU productNumber {_SALE}",
    "ProductRatePlan": f"name productId productRatePlanNumber {_SALE}",
    "ProductRatePlanCharge": f"{_CHARGE} {_ENDS} productRatePlanId productRatePlanChargeNumber "
    "defaultQuantity=decimal",
    "ProductRatePlanChargeTier": f"productRatePlanChargeId {_TIER}",
    "Subscription": "name accountId invoiceOwnerId creatorAccountId creatorInvoiceOwnerId status=picklist "
    "version=integer isLatestVersion=boolean originalId previousSubscriptionId revision termType=picklist "
    "initialTerm=integer initialTermPeriodType currentTerm=integer currentTermPeriodType renewalTerm=integer "
    "renewalTermPeriodType renewalSetting termStartDate=date termEndDate=date subscriptionStartDate=date "
    "subscriptionEndDate=date contractEffectiveDate=date serviceActivationDate=date orderId "
    "contractAcceptanceDate=date autoRenew=boolean cancelledDate=date currency cMRR=decimal notes "
    "isSingleVersioned=boolean lastBookingDate=date originalCreatedDate=datetime",
    "RatePlan": "subscriptionId productId productRatePlanId name amendmentType originalRatePlanId "
    "subscriptionRatePlanNumber reverted=boolean subscriptionOwnerId invoiceOwnerId",
    "RatePlanCharge": f"{_CHARGE} {_ENDS} originalId chargeNumber segment=integer version=integer "
    "productRatePlanChargeId billingPeriodAlignment billCycleType triggerDate=date specificEndDate=date "
    "effectiveStartDate=date effectiveEndDate=date chargedThroughDate=date processedThroughDate=date "
    "isProcessed=boolean quantity=decimal mRR=decimal dMRC=decimal tCV=decimal amendedByOrderOn=date "
    "ratePlanId subscriptionId isLastSegment=boolean subscriptionOwnerId invoiceOwnerId",
    "RatePlanChargeTier": f"ratePlanChargeId {_TIER}",
    "Invoice": "accountId invoiceNumber invoiceDate=date dueDate=date targetDate=date amount=decimal "
    "amountWithoutTax=decimal balance=decimal paymentAmount=decimal currency status=picklist source sourceId "
    "includesOneTime=boolean includesRecurring=boolean includesUsage=boolean postedDate=datetime postedBy",
    "InvoiceItem": "invoiceId accountId subscriptionId subscriptionNumber ratePlanChargeId chargeNumber "
    "productRatePlanChargeId chargeName chargeAmount=decimal chargeDate=datetime serviceStartDate=date "
    "serviceEndDate=date processingType taxAmount=decimal",
    "Payment": "paymentNumber accountId amount=decimal appliedAmount=decimal unappliedAmount=decimal "
    "currency type status=picklist effectiveDate=date comment referenceId refundAmount=decimal",
}

OPTIONS = {
    "Account.status": ("Draft", "Active", "Canceled"),
    "Subscription.status": (
        *("Draft", "Pending Activation", "Pending Acceptance"),
        *("Active", "Cancelled", "Expired", "Suspended"),
    ),
    "Subscription.termType": ("TERMED", "EVERGREEN"),
    "Invoice.status": ("Draft", "Posted", "Canceled"),
    "Payment.status": ("Draft", "Processing", "Processed", "Error", "Canceled"),
    "chargeModel": ("FlatFee", "PerUnit", "Tiered", "Volume"),
    "chargeType": ("OneTime", "Recurring", "Usage"),
    "billingPeriod": ("Month", "Quarter", "Semi_Annual", "Annual"),
    "billingTiming": ("IN_ADVANCE", "IN_ARREARS"),
    "triggerEvent": ("ContractEffective", "ServiceActivation", "CustomerAcceptance", "SpecificDate"),
    "endDateCondition": ("Subscription_End", "Fixed_Period", "Specific_End_Date", "One_Time"),
    "priceFormat": ("FlatFee", "PerUnit"),
}
"""Of picklists: by object and field, or by field."""

_ONE = {
    "Account": "BillToContact=Contact SoldToContact=Contact ShipToContact=Contact",
    "Contact": "Account=Account",
    "ProductRatePlan": "Product=Product",
    "ProductRatePlanCharge": "ProductRatePlan=ProductRatePlan",
    "ProductRatePlanChargeTier": "ProductRatePlanCharge=ProductRatePlanCharge",
    "Subscription": "Account=Account InvoiceOwner=Account",
    "RatePlan": "Subscription=Subscription Product=Product ProductRatePlan=ProductRatePlan",
    "RatePlanCharge": "RatePlan=RatePlan ProductRatePlanCharge=ProductRatePlanCharge",
    "RatePlanChargeTier": "RatePlanCharge=RatePlanCharge",
    "Invoice": "Account=Account",
    "InvoiceItem": "Invoice=Invoice Account=Account RatePlanCharge=RatePlanCharge",
    "Payment": "Account=Account",
}
"""What a record has one of: its name there, and the object that it is."""

_UPDATE = {"Account": set(ACCOUNT), "Contact": {*CONTACT, "nickName", "postalCode", "description"}}
_CREATE = {
    "Account": {"accountNumber", "currency", *_UPDATE["Account"]},
    "Contact": {"accountId", *_UPDATE["Contact"]},
}
_REQUIRED = {"Account": {"name", "currency"}, "Contact": {"firstName", "lastName"}}


class Field(NamedTuple):
    name: str
    type: str
    createable: bool
    updateable: bool
    required: bool


OBJECTS = tuple(_FIELDS)


def fields(object: str) -> list[Field]:
    """The fields that every tenant has."""
    made = []
    for word in f"{_STAMPS} {_FIELDS[object]}".split():
        name, _, type = word.partition("=")
        sets = (names.get(object, set()) for names in (_CREATE, _UPDATE, _REQUIRED))
        made.append(Field(name, type or "text", *(name in some for some in sets)))
    return made


def related(object: str) -> list[tuple[str, str]]:
    """What a record has one of: (its name there, the object that it is)."""
    return [(name, of) for name, of in (one.split("=") for one in _ONE.get(object, "").split())]
