"""A killed run, resumed, ends with the bits of one left alone (see kills.py for more kills)."""

import kills


def test_kills_leave_no_trace(tmp_path, small_dataset):
    done, hits, found = kills.trial(small_dataset, 2, 80, seed=1, folder=tmp_path)
    assert done == 2 and hits >= 1
    assert found == []
