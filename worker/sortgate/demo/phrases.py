"""The sentences that the demo's support-desk texts are made of, written for this project.

``{slot}`` is filled from :data:`SLOTS`, whose entries may hold slots themselves; ``{n}`` becomes a number. Labels share
much of their vocabulary on purpose ("card", "account", "order"), so that single words do not give a text away.
"""

from __future__ import annotations

#: What a text is about, by label: sentences that say it outright.
CORE: dict[str, tuple[str, ...]] = {
    "billing": (
        "I was charged {amount} twice for {thing}",
        "the invoice for {month} {shows} {amount} but {we} agreed on {amount}",
        "why is there {a_fee} on {our} {statement}",
        "please send {the_invoice} to {our} accounting department",
        "{our} {card} was declined although there is enough money on it",
        "the VAT number on {the_invoice} is wrong",
        "can {we} pay {the_invoice} by bank transfer instead of {card}",
        "the price went up to {amount} and nobody told {us}",
        "{the_invoice} lists {n} seats but {we} only use {n}",
    ),
    "login": (
        "{we} cannot sign in to {our} account {since}",
        "the password reset mail never arrives",
        "{it_says} that {our} password is wrong, it is not",
        "the code from the authenticator app is rejected every time",
        "{our} account is locked after {n} attempts",
        "single sign-on sends {us} back to the login page",
        "I changed {our} phone and {cannot} confirm the second factor",
        "how do I change the e-mail address that {we} log in with",
        "{it_says} the session has expired right after {we} sign in",
    ),
    "shipping": (
        "{our} parcel with {thing} has not arrived {since}",
        "tracking {shows} no movement {since}",
        "the courier left {thing} at the wrong address",
        "when will order {order} be delivered",
        "{thing} arrived but the box was damaged",
        "can {we} still change the delivery address of order {order}",
        "only {n} of {n} parcels came today",
        "customs is holding {thing} and asks for {the_invoice}",
        "the delivery was promised for {day} and nobody came",
    ),
    "bug report": (
        "the {part} {crashes} when {we} {action}",
        "{it_says} error {n} as soon as {we} {action}",
        "{since} the {part} {shows} an empty page",
        "after the last update {we} {cannot} {action}",
        "the {part} takes {n} seconds to load {since}",
        "numbers in the {part} are wrong after {we} {action}",
        "the button to {action} does nothing in {browser}",
        "{our} data is gone after {we} tried to {action}",
        "the {part} {crashes} in {browser} but works elsewhere",
    ),
    "refund": (
        "{we} want {our} money back for {thing}",
        "please refund {amount} to {our} {card}",
        "{we} returned {thing} {since} and still have no refund",
        "when does the {amount} come back to {our} {card}",
        "{thing} does not do what you promised, {we} ask for {our} {amount} back",
        "you confirmed the refund for order {order} but it is not on {our} {statement}",
        "I sent {thing} back, how long until {we} get the money",
        "only {amount} of {amount} was paid back",
        "{we} were charged after the trial, please return the {amount}",
    ),
    "cancellation": (
        "please cancel {our} {plan} at the end of {month}",
        "{we} no longer need {our} {plan}",
        "how do {we} stop the {plan} from renewing",
        "cancel order {order} before it is sent",
        "{we} are moving to another provider and close {our} account",
        "I ended {our} {plan} {since} and it was renewed anyway",
        "please delete {our} account and everything in it",
        "where is the button to end the {plan}",
        "do not renew {our} {plan} after {month}",
    ),
    "feature request": (
        "it would be great if {we} could {action} from the {part}",
        "please add {a_feature} to the {part}",
        "are there plans for {a_feature}",
        "{our} team misses {a_feature}",
        "could the {part} remember how {we} last {used} it",
        "{we} would pay more for {a_feature}",
        "any chance to {action} with one click",
        "{a_feature} would save {us} {n} hours a week",
        "other tools have {a_feature}, when will you",
    ),
    "praise": (
        "just wanted to say that the new {part} is wonderful",
        "your colleague solved {our} problem in {n} minutes, thank you",
        "{thing} arrived earlier than promised, great job",
        "{we} love {a_feature}",
        "best support {we} ever had, five stars",
        "the refund came the same day, {we} are impressed",
        "signing in is so much faster now, well done",
        "{our} team is very happy with the {plan}",
        "please pass {our} thanks on to whoever fixed the {part}",
    ),
}

#: Sentences of texts that say little: any label may stand behind them.
VAGUE = (
    "it is about order {order} again",
    "same problem as in my last message",
    "please have a look at {our} account",
    "nobody has answered ticket {order} {since}",
    "what should {we} do about {thing}",
    "{our} {plan} is not what {we} expected",
    "the {card} on file is the right one",
)

#: What went before and is settled: names another topic without being about it. ``{topic}`` is that topic.
SETTLED = (
    "thanks for your help with the {topic} last week, that is sorted.",
    "{topic} is fine now, this is something else:",
    "not about the {topic} ticket this time.",
    "I wrote about {topic} before, forget that.",
)
TOPICS = {
    "billing": ("invoice", "double charge", "VAT"),
    "login": ("password", "login", "second factor"),
    "shipping": ("delivery", "parcel", "tracking"),
    "bug report": ("crash", "error", "empty page"),
    "refund": ("refund", "money back", "return"),
    "cancellation": ("cancellation", "renewal", "closed account"),
    "feature request": ("feature wish", "suggestion", "idea"),
    "praise": ("nice colleague", "new design", "update"),
}

DETAILS = (
    "our order number is {order}",
    "{we} use {browser}",
    "it is the account of {name}",
    "{we} have the {plan}",
    "this is {urgent}",
    "I already wrote {since}",
    "{our} customer number is {order}",
    "a screenshot is attached",
    "{we} paid with {card}",
    "you can call me on {day}",
    "{our} colleague {name} has the same",
)
GREETINGS = ("hi", "hello", "hello there", "dear support", "good morning", "hey team", "dear sir or madam", "hi all")
CLOSINGS = (
    "thanks",
    "thank you",
    "best regards",
    "cheers",
    "please help",
    "kind regards",
    "looking forward",
    "asap pls",
)
FOOTERS = ("Sent from my phone", "Tel. +{n} {n} {order}", "-- \n{name}\n{company}", "Ticket {order} | {company}")
EMOJI = ("🙂", "😡", "🙏", "😕", "👍", "🔥", "🤔", "😭")
CRUMBS = ("<br>", "<br/>", "&nbsp;", "<p>", "</p>", '<div class="mail">', "&amp;", "> ")

SLOTS: dict[str, tuple[str, ...]] = {
    "we": ("we", "I", "we", "I", "my team"),
    "us": ("us", "me"),
    "our": ("our", "my", "the"),
    "a_fee": ("a fee of {amount}", "another {amount}", "a setup fee", "an unknown item"),
    "a_feature": (
        "a dark mode", "an export to spreadsheets", "an interface for scripts", "keyboard shortcuts", "a mobile app",
        "a reminder before {month}", "bulk editing", "a login with company accounts", "invoices by e-mail",
        "delivery time slots", "a shared inbox", "a search in the {part}",
    ),
    "action": (
        "export the report", "upload a file", "open the {part}", "save an order", "print an invoice", "add a user",
        "filter by date", "import contacts", "change the password", "cancel an order", "merge two tickets",
    ),
    "amount": ("{n} euros", "${n}", "{n}.99 EUR", "£{n}", "{n} dollars"),
    "browser": ("Firefox", "Chrome", "Safari", "the app", "Edge", "the tablet"),
    "cannot": ("cannot", "can't", "are unable to"),
    "card": ("card", "credit card", "debit card", "bank account"),
    "company": ("Nordwind GmbH", "Oak & Partners", "Lindqvist AB", "Bluebird Travel", "Casa Verde", "Harbour Books"),
    "crashes": ("crashes", "freezes", "hangs", "closes itself"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "tomorrow"),
    "it_says": ("it says", "the page says", "I always read", "a message says"),
    "month": ("January", "March", "May", "July", "September", "November", "this month", "the year"),
    "name": ("Anna", "J. Weber", "Priya", "Tom", "M. Rossi", "Chen", "Sofia", "O. Haddad"),
    "part": ("dashboard", "report page", "calendar", "order list", "editor", "inbox", "settings page", "start page"),
    "plan": ("subscription", "plan", "team plan", "membership", "contract", "premium plan"),
    "shows": ("shows", "says", "has", "displays"),
    "since": ("since {day}", "for {n} days", "since the update", "since yesterday", "for weeks"),
    "statement": ("bank statement", "invoice", "account", "card statement"),
    "the_invoice": ("the invoice", "invoice {order}", "a copy of the invoice", "the receipt"),
    "thing": (
        "the headphones", "order {order}", "a desk lamp", "the blue jacket", "the starter kit", "two chairs",
        "the annual {plan}", "the spare part", "the coffee grinder", "my last order",
    ),
    "urgent": ("urgent", "not urgent", "the third time I write", "getting annoying", "important for our closing"),
    "used": ("used", "sorted", "filtered"),
}  # fmt: skip
