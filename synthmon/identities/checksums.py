"""Check digits of card numbers and bank accounts."""


def luhn_ok(digits: str) -> bool:
    """True if the decimal digits end in their Luhn check digit (ISO/IEC 7812-1 annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0


def iban_ok(iban: str) -> bool:
    """True if the compact upper-case IBAN has a remainder of 1 (ISO 13616, ISO/IEC 7064 mod 97-10)."""
    return _remainder(iban[4:] + iban[:4]) == 1


def iban_with_check_digits(country: str, account: str) -> str:
    """The IBAN of a country code and a BBAN, both compact and upper-case."""
    return f"{country}{98 - _remainder(account + country + '00'):02d}{account}"


def _remainder(text: str) -> int:
    return int("".join(str(int(char, 36)) for char in text)) % 97
