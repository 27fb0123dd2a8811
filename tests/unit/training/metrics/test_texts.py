from genservice.training.metrics.texts import copies


def test_a_text_that_repeats_a_run_of_the_training_data_is_a_copy() -> None:
    training = ["the quick brown fox", "jumps over the lazy dog"]
    texts = ["a quick brown bear", "over the lazy cat", "lazy dog the quick", "fox", ""]
    assert copies(texts, training, characters=13) == 2 / 5


def test_runs_that_go_over_the_end_of_a_text_are_none() -> None:
    assert copies(["abcdef"], ["abc", "def"], characters=4) == 0


def test_the_same_letters_in_another_order_are_no_copy() -> None:
    assert copies(["bca", "abc"], ["xabcx"], characters=3) == 0.5


def test_without_training_data_nothing_is_a_copy() -> None:
    assert copies(["abc"], [], characters=2) == 0
