"""How `--help` shows examples and the exit codes, which `warp.errors.ExitCode` names."""

from warp.errors import ExitCode

# click re-wraps every paragraph that does not open with this mark.
_AS_IT_STANDS = "\b"


def epilog(*examples: str, exit_codes: bool = False) -> str:
    """The end of a command's help: lines that can be run as they stand, and, if wanted, what the exit codes say."""
    blocks = [[_AS_IT_STANDS, "Examples:", *(f"  {example}" for example in examples)]]
    if exit_codes:
        blocks.append([_AS_IT_STANDS, "Exit codes:", *(f"  {code.value}  {code.meaning}" for code in ExitCode)])
    return "\n\n".join("\n".join(block) for block in blocks)
