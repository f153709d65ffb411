"""The settings that leave out tables and fields, and mask values: the same at each level that has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, SecretStr

from warp.filters import FieldPatterns, Mask, TablePatterns
from warp.filters.fields import KEY_FIELD
from warp.filters.patterns import SEPARATOR

LEAST_SALT = 16
"""Characters of a salt: a shorter one could be guessed from the hash of a known value."""
SALT_NEEDED = (
    f"a secret of {LEAST_SALT} characters or more, which mask: hash needs "
    "(keep it in CARTRIDGE_WARP_MASK_SALT rather than in the file, and never change it)"
)


def _check_pattern(pattern: str) -> str:
    if not pattern:
        raise ValueError("a name, or a pattern of names")
    return pattern


def _check_hidden(pattern: str) -> str:
    if pattern.split(SEPARATOR)[0] == KEY_FIELD:
        raise ValueError(f"a field other than {KEY_FIELD}, the key of its row, which cannot be excluded or masked")
    return _check_pattern(pattern)


def _check_masks(masks: dict[str, Mask]) -> dict[str, Mask]:
    for pattern in masks:
        _check_hidden(pattern)
    return masks


def _null(value: object) -> object:
    return Mask.NULL.value if value is None else value  # what YAML makes of an unquoted null


def _check_salt(salt: SecretStr) -> SecretStr:
    if len(salt.get_secret_value()) < LEAST_SALT:
        raise ValueError(SALT_NEEDED)
    return salt


Pattern = Annotated[str, AfterValidator(_check_pattern)]
HiddenPattern = Annotated[str, AfterValidator(_check_hidden)]
Masks = Annotated[dict[str, Annotated[Mask, BeforeValidator(_null)]], AfterValidator(_check_masks)]
Salt = Annotated[SecretStr, AfterValidator(_check_salt)]


class FieldSettings(BaseModel):
    """Which fields of documents are written, in patterns of dotted paths."""

    include_fields: tuple[Pattern, ...] = ()
    """Only these; none given: all."""
    exclude_fields: tuple[HiddenPattern, ...] = ()
    mask: Masks = {}

    @property
    def field_patterns(self) -> FieldPatterns:
        """What this level says."""
        return FieldPatterns(self.include_fields, self.exclude_fields, tuple(self.mask.items()))


class TableFilterSettings(BaseModel):
    """Which tables are mirrored, in patterns of names."""

    include_tables: tuple[Pattern, ...] = ()
    """Only these; none given: all."""
    exclude_tables: tuple[Pattern, ...] = ()

    @property
    def table_patterns(self) -> TablePatterns:
        """What this level says."""
        return TablePatterns(self.include_tables, self.exclude_tables)
