"""A killed run, resumed, ends with the bits of one left alone (see kills.py for more kills)."""

import kills


def test_twenty_kills_leave_no_trace(tmp_path, small_dataset):
    done, hits, found = kills.trial(small_dataset, 20, 600, seed=1, folder=tmp_path)
    assert done == 20 and hits >= 5
    assert found == []
