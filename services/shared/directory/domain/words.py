"""What an entry is found by: the words of its texts, folded alike in rows and in searches, as keys in plain ASCII.

The keys are made here and nowhere else, so that every database finds the same. A server's own full-text search has no
part in how words are split and compared: it sees ASCII words that no stopword, minimum length or collation touches.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

# InnoDB's full-text index leaves out what is longer, or shorter than 3:
# https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_ft_max_token_size
_LONGEST_KEY = 84
# Makes a key of one letter long enough, and none a stopword:
# https://dev.mysql.com/doc/refman/8.4/en/fulltext-stopwords.html
_BEGIN = "xx"
_MOST_WORDS = 8
# Of a script without spaces, so many characters are one key, from each position on.
_WINDOW = 4
# Scripts that put no spaces between words (UAX #14, classes SA and ID, and kana): https://www.unicode.org/reports/tr14/
_SPACELESS = re.compile(
    "["
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u1950-\u19df\u1a20-\u1aaf\u2e80-\u2fdf\u3005-\u312f\u31a0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua980-\ua9ff\uaa60-\uaadf\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
    "]"
)
# Default_Ignorable_Code_Point: nothing is seen of them.
# https://www.unicode.org/Public/UCD/latest/ucd/DerivedCoreProperties.txt
IGNORABLE = re.compile(
    "["
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "]"
)
# Stands in a word where another may be seen to begin, as after a joiner: it is found by what comes after, too.
_SEAM = "\u200b"
# Letters that people without them on the keyboard write so, though Unicode does not take them apart.
_PLAIN = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "þ": "th", "ı": "i"}
)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def words_of(text: str) -> list[str]:
    """Every word that a text is found by, each by its beginning too; its other visible characters one by one."""
    words: list[str] = []
    for kind, run in _runs(text):
        parts = run.split(_SEAM)
        whole = "".join(parts)
        if kind == "spaceless":
            words += (whole[i : i + _WINDOW] for i in range(len(whole)))
        else:
            words += ("".join(parts[i:]) for i in range(len(parts)))
    return [word for word in dict.fromkeys(words) if word]


def search_words(q: str) -> list[str]:
    """The words to look for: the first eight, and what is no letter or digit only where there is nothing else."""
    words: list[str] = []
    others: list[str] = []
    for kind, parts in _runs(q):
        run = parts.replace(_SEAM, "")
        if kind == "spaceless":
            words += (run[i : i + _WINDOW] for i in range(0, len(run), _WINDOW))
        elif kind == "word":
            words.append(run)
        else:
            others.append(run)
    return list(dict.fromkeys(words or others))[:_MOST_WORDS]


def search_keys(texts: Iterable[str]) -> str:
    """The keys of an entry, each after a space."""
    keys = dict.fromkeys(key(word) for text in texts for word in words_of(text))
    return "".join(f" {each}" for each in keys)


def key(word: str) -> str:
    """A word in ASCII letters, digits and underscores; the key of its beginning is the beginning of its key."""
    return (_BEGIN + "".join([_code(c) for c in word]))[:_LONGEST_KEY]


def _runs(text: str) -> list[tuple[str, str]]:
    """The folded text in pieces: words and runs of a script without spaces, with their seams, and single characters."""
    runs: list[tuple[str, str]] = []
    in_word = False
    for letter in unicodedata.normalize("NFD", text):
        # A symbol that folds to letters, as a letter in a circle does, may be read as a word of its own.
        folded, was_in_word = _fold(letter), in_word
        if folded and folded != _SEAM:
            in_word = unicodedata.category(letter)[0] in "LNM"
        for c in folded if was_in_word is in_word else _SEAM + folded:
            kind = _kind(c)
            if runs and (kind == "seam" or (kind == runs[-1][0] and kind in ("word", "spaceless"))):
                runs[-1] = (runs[-1][0], runs[-1][1] + c)
            elif kind != "seam":
                runs.append((kind, c))
    return [run for run in runs if run[0] != "gap"]


@lru_cache(maxsize=8192)
def _fold(letter: str) -> str:
    """What a character is compared as: without case, accents and compatibility forms; a seam if it is not seen.

    A mark that is part of the spelling, as a vowel sign is, stays. Which ones are accents is told by their class:
    https://www.unicode.org/reports/tr44/#Canonical_Combining_Class_Values
    """
    if IGNORABLE.match(letter):
        return _SEAM
    taken_apart = unicodedata.normalize("NFKD", letter.casefold())
    folded = "".join(c for c in taken_apart if not _is_accent(c) and not IGNORABLE.match(c))
    # An accent that stands alone is a space with an accent in its compatibility form.
    if not folded.strip() and not _is_accent(letter) and not letter.isspace():
        return letter
    return folded.translate(_PLAIN)


def _is_accent(letter: str) -> bool:
    place = unicodedata.combining(letter)
    return place == 1 or 10 <= place <= 36 or place >= 200


@lru_cache(maxsize=8192)
def _kind(letter: str) -> str:
    if letter == _SEAM:
        return "seam"
    category = unicodedata.category(letter)
    if category[0] in "LNM":
        return "spaceless" if _SPACELESS.match(letter) else "word"
    return "gap" if category[0] == "Z" or category == "Cc" else "other"


@lru_cache(maxsize=8192)
def _code(letter: str) -> str:
    """A letter or digit of ASCII as itself, any other as an underscore and three digits, or two and four."""
    if letter in _DIGITS:
        return letter
    number, digits = ord(letter), ""
    length, mark = (3, "_") if number < 36**3 else (4, "__")
    for _ in range(length):
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return mark + digits
