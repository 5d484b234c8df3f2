"""Nothing that can be printed, copied or kept of a vault tells a value."""

import copy
import gc
import pickle

import pytest

from rag.adapters.sealed_vault import SealedVault


def test_a_value_is_one_in_whatever_case_and_spacing() -> None:
    vault = SealedVault()
    assert vault.put("bcdf", "Anna Berg")
    assert vault.code_of("ANNA  berg") == "bcdf" and vault.code_of("Anna") is None
    assert vault.value_of("bcdf") == "Anna Berg" and vault.value_of("ghjk") is None


def test_a_code_is_given_once() -> None:
    vault = SealedVault()
    assert vault.put("bcdf", "Anna") and not vault.put("bcdf", "Otto")
    assert vault.value_of("bcdf") == "Anna" and vault.code_of("Otto") is None


def test_it_tells_nothing_of_what_it_holds() -> None:
    vault = SealedVault()
    vault.put("bcdf", "Anna-Berg")
    assert "Anna" not in repr(vault) + str(vault)
    inside = "".join(repr(each) for each in gc.get_referents(vault))
    assert "Anna" not in inside and len(inside) > 0


def test_it_cannot_be_copied_or_written_down() -> None:
    with pytest.raises(TypeError, match="never copied"):
        pickle.dumps(SealedVault())
    with pytest.raises(TypeError, match="never copied"):
        copy.deepcopy(SealedVault())


def test_what_is_closed_is_gone() -> None:
    vault = SealedVault()
    vault.put("bcdf", "Anna")
    vault.close()
    assert vault.value_of("bcdf") is None and vault.code_of("Anna") is None
    assert not vault.put("ghjk", "Otto")


def test_lone_surrogates_are_values_like_others() -> None:
    vault = SealedVault()
    assert vault.put("bcdf", "a\ud800b") and vault.value_of("bcdf") == "a\ud800b"
