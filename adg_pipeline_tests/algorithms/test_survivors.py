"""Which example stands for the others of its cluster."""

import numpy as np

from adg_pipeline.algorithms.survivors import clusters, semantic_clusters, survivors


def test_a_cluster_goes_on_through_every_kind_of_likeness() -> None:
    found = clusters([np.array([0, 0, 1, 2, 3]), np.array([5, 6, 6, 7, 8])])
    assert found[0] == found[1] == found[2]
    assert len(set(found.tolist())) == 3


def test_the_best_by_score_stands_for_the_others_then_the_first() -> None:
    cluster = np.array([0, 0, 0, 1, 1, 2])
    scores = np.array([0.1, 0.9, 0.9, 0.5, 0.5, 0.0])
    assert survivors(cluster, scores, np.ones(6, bool)).tolist() == [1, 1, 1, 3, 3, 5]


def test_what_cannot_be_taken_stands_for_nobody() -> None:
    found = survivors(np.zeros(3, np.int64), np.array([0.1, np.nan, 0.2]), np.array([True, False, True]))
    assert found.tolist() == [2, 1, 2]


def test_semantic_duplicates_are_found_within_a_bin() -> None:
    vectors = np.array([[1, 0], [0.999, 0.0447], [0, 1], [1, 0]], dtype=np.float32)
    found = semantic_clusters(vectors, np.array([0, 0, 0, 1]), 0.99)
    assert found[0] == found[1]
    assert len(set(found.tolist())) == 3
