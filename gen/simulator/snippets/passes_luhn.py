# task: checks a card number with the Luhn algorithm
# note: every second digit from the right is doubled and its digits are added
def passes_luhn(number: str) -> bool:
    """Whether the digits of `number` have a valid check digit."""
    digits = [int(sign) for sign in reversed(number) if sign.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return bool(digits) and (sum(digits[::2]) + sum(doubled)) % 10 == 0
