"""Which tables and fields are mirrored, and which values are masked on the way. Pure: no I/O, no BSON, no SQL.

`fields` decides about the fields of documents, `tables` about whole tables, `patterns` says what a name matches.
"""

from warp.filters.fields import KEY_FIELD, REDACTED, FieldFilter, FieldPatterns, Mask, Tree, field_filter
from warp.filters.tables import TablePatterns, passes

__all__ = [
    "KEY_FIELD",
    "REDACTED",
    "FieldFilter",
    "FieldPatterns",
    "Mask",
    "TablePatterns",
    "Tree",
    "field_filter",
    "passes",
]
