"""Steps that leave a number that is not finite, undone: train's --on-nonfinite skip."""

from minigan.errors import UserError
from minigan.nonfinite import Copy
from minigan.nonfinite_cause import cause

IN_A_ROW = 100  # skipped steps after which no other will be better
TRACED = 3  # skipped steps of which it is found out what made them so


class Skipping:
    """Undoes the steps that leave a number that is not finite. `keep` before a step, then `undo` or `went_well`."""

    def __init__(self, run):
        self.run, self.count, self.in_a_row = run, 0, 0
        self._copy = Copy(run)
        self.keep, self.put_back = self._copy.keep, self._copy.put_back

    def went_well(self):
        """Takes note of a good step."""
        self.in_a_row = 0

    def undo(self, step, seen):
        """Puts the arrays back; the step counts as taken. seen: what was not finite, in words.

        Returns a sentence, with what made it so the first few times, later None. Raises UserError where no step has
        been good for long.
        """
        self.count, self.in_a_row = self.count + 1, self.in_a_row + 1
        taken, sentence = self.run.counts, None
        self._copy.put_back()
        if self.count <= TRACED or self.in_a_row == IN_A_ROW:
            made = cause(self.run) or f"{seen}, but not when the step was run again"
            self._copy.put_back()
            sentence = f"step {step:,} was skipped: {made}"
            if self.count == TRACED:
                sentence += "; from now on skipped steps are only counted"
        self.run.counts = taken
        if self.in_a_row == IN_A_ROW:
            raise UserError(
                f"{sentence}; so were the {IN_A_ROW - 1} before it, and no other will be better: "
                "start again with lower learning rates, --lr-g and --lr-d"
            )
        return sentence
