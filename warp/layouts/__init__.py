"""How documents lie in a table: what is done to each before it becomes a row. Pure: no I/O, no BSON, no SQL."""

from warp.layouts.flatten import Flatten
from warp.layouts.form import Form, form_of
from warp.layouts.made import require_layout
from warp.layouts.whole import Whole

__all__ = ["Flatten", "Form", "Whole", "form_of", "require_layout"]
