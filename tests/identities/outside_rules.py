"""Whether a value can belong to somebody, by tables of our own: nothing here is imported from what made the value.

Each rule is written down from its authority a second time, in another form, so that a slip in the generator's tables
or in its arithmetic shows as a difference.
"""

import re
from collections.abc import Callable

# RFC 2606 section 2 and 3, RFC 6761 section 6; and the sub-domain that the operator of these trials owns.
OWNED = "people.synthetic-shop.eu"
_MAIL = re.compile(
    r"[a-z0-9]([a-z0-9.+-]{0,62}[a-z0-9])?@"
    r"(([a-z0-9-]+\.)*(example\.(com|net|org)|example|test|invalid|localhost)|people\.synthetic-shop\.eu)"
)
_NEVER_ANSWERS = re.compile(r"[a-z0-9-]{1,63}\.invalid")

# What a regulator keeps free for fiction, as it is dialled from abroad.
_PHONES = {
    # ATIS-0300048: 555-0100 to 555-0199 in every geographic area
    "US": r"\+1(20[26]|212|303|312|404|415|512|602|617|702|713)55501\d\d",
    "CA": r"\+1(204|306|403|416|506|514|604|613|780|902)55501\d\d",
    # Ofcom, telephone numbers for use in TV and radio drama programmes
    "GB": r"\+44(2079460|11[345678]4960|1[23456]14960|1914980|2890180|2920180|3069990|1632960|7700900|8081570)\d{3}",
    # Bundesnetzagentur, Mitteilung 148/2021
    "DE": r"\+49((3023125|6990009|4066969|2214710|8999998)\d{3}|(17139200|176040690)\d\d|15228(817386|895456)"
    r"|15254599371|172(9925904|9968532|997318[56]|9980752)|174(9091317|9464308))",
    # PTS, telefonnummer för böcker och filmer; 0701740600 to 604 are left out by us
    "SE": r"\+46(7017406(0[5-9]|[1-9]\d)|(3139006|4062804|8465004|9803192)\d\d)",
    # ARCEP, décision 2018-0881, annexe 1, 2.5.12
    "FR": r"\+33(19900|26191|35301|46571|53649|63998)\d{4}",
    # ACMA, phone numbers for use in TV shows, films and creative works
    "AU": r"\+61([2378]5550\d{4}|[2378]7010\d{4}|491570(006|110|156|157|158|159)|180097570[7-9]|180097571[01])",
    # ComReg: 020 91x xxxx for drama
    "IE": r"\+3532091\d{5}",
}
FICTION = {country: re.compile(pattern) for country, pattern in _PHONES.items()}

# Numbers that Stripe and Adyen publish for their test mode.
_TEST_CARDS = frozenset(("4242424242424242", "4111111111111111", "5555555555554444", "378282246310005"))

# SSA: no area 000 or 666, no group 00, no serial 0000. The areas from 900 on are the IRS's and are not used at all.
_NO_SSN = re.compile(r"(000|666)-\d\d-\d{4}|\d{3}-00-\d{4}|\d{3}-\d\d-0000")
_NO_NINO = re.compile(r"QQ\d{6}[ABCD]")  # HMRC, NIM39110
_NO_BANK = re.compile(
    r"GB\d\dWEST\d{14}|AT611904300234573201|BE68539007547034|CH9300762011623852957|PT50000201231234567890154"
)
_TEST_NETS = re.compile(r"(192\.0\.2|198\.51\.100|203\.0\.113)\.(\d{1,3})")  # RFC 5737
_TEST_NETS_6 = re.compile(r"2001:db8:[0-9a-f:]+|3fff:0?[0-9a-f]{0,3}:[0-9a-f:]*")  # RFC 3849, RFC 9637
_TEST_MAC = re.compile(r"00:00:5e:00:53:[0-9a-f]{2}")  # RFC 9542
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B, from the left."""
    odd = len(digits) % 2
    total = sum(int(d) if at % 2 != odd else _DOUBLED[int(d)] for at, d in enumerate(digits))
    return total % 10 == 0


def mod_97(iban: str) -> bool:
    """ISO 7064 mod 97-10, a digit at a time."""
    rest = 0
    for char in iban[4:] + iban[:4]:
        for digit in str(ord(char) - 55 if char.isalpha() else char):
            rest = (rest * 10 + int(digit)) % 97
    return rest == 1


def mail_is_nobodys(text: str) -> bool:
    return len(text.partition("@")[0]) <= 64 and _MAIL.fullmatch(text) is not None


def phone_is_fiction(text: str, country: str) -> bool:
    return country in FICTION and FICTION[country].fullmatch(text) is not None


def card_is_a_test_number(text: str) -> bool:
    return text in _TEST_CARDS and luhn(text)


def ssn_is_nobodys(text: str) -> bool:
    return _NO_SSN.fullmatch(text) is not None


def id_is_nobodys(text: str) -> bool:
    return _NO_NINO.fullmatch(text) is not None or ssn_is_nobodys(text)


def account_is_at_no_bank(text: str) -> bool:
    return _NO_BANK.fullmatch(text) is not None and mod_97(text)


def address_is_documentation(text: str) -> bool:
    four = _TEST_NETS.fullmatch(text)
    return int(four[2]) < 256 if four else _TEST_NETS_6.fullmatch(text) is not None


def mac_is_documentation(text: str) -> bool:
    return _TEST_MAC.fullmatch(text) is not None


def host_never_answers(text: str) -> bool:
    return _NEVER_ANSWERS.fullmatch(text) is not None


RULES: dict[str, Callable[[str], bool]] = {
    "email": mail_is_nobodys,
    "card": card_is_a_test_number,
    "ssn": ssn_is_nobodys,
    "national_id": id_is_nobodys,
    "iban": account_is_at_no_bank,
    "ip": address_is_documentation,
    "ipv6": address_is_documentation,
    "mac": mac_is_documentation,
    "host": host_never_answers,
}
"""Field → its rule; `phone` needs the country as well."""
