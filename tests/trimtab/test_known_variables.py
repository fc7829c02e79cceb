"""A variable that nothing reads is an error that names the nearest setting."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from event_schemas.errors import SettingError
from trimtab.known_variables import require_known
from trimtab.settings import VARIABLES

names = st.sampled_from(sorted(VARIABLES))


@given(names, st.data())
def test_one_wrong_letter_is_an_error_that_names_the_right_word(name: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(len("TRIMTAB_"), len(name) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ_"))
    edit = data.draw(st.sampled_from(["replace", "drop", "insert", "swap"]))
    wrong = {
        "replace": name[:place] + letter + name[place + 1 :],
        "drop": name[:place] + name[place + 1 :],
        "insert": name[:place] + letter + name[place:],
        "swap": name[: place - 1] + name[place] + name[place - 1] + name[place + 1 :],
    }[edit]
    assume(wrong not in VARIABLES and wrong.startswith("TRIMTAB_"))
    with pytest.raises(SettingError) as caught:
        require_known({wrong: "x", "PATH": "/bin", "OTHER_TRIMTAB_THING": "y"}, "TRIMTAB_", VARIABLES)
    assert caught.value.what == f"{wrong} is not a setting"
    assert f"did you mean {name}?" in caught.value.fix


@given(names, st.booleans())
def test_known_names_pass_whatever_their_case(name: str, small: bool) -> None:
    require_known({name.lower() if small else name: ""}, "TRIMTAB_", VARIABLES)


def test_what_kubernetes_sets_for_a_service_passes() -> None:
    service = {
        "TRIMTAB_SERVING_SERVICE_HOST": "10.0.0.1",
        "TRIMTAB_SERVING_SERVICE_PORT": "8080",
        "TRIMTAB_SERVING_SERVICE_PORT_HTTP": "8080",
        "TRIMTAB_SERVING_PORT": "tcp://10.0.0.1:8080",
        "TRIMTAB_SERVING_PORT_8080_TCP": "tcp://10.0.0.1:8080",
        "TRIMTAB_SERVING_PORT_8080_TCP_ADDR": "10.0.0.1",
        "TRIMTAB_SERVING_PORT_8080_TCP_PORT": "8080",
        "TRIMTAB_SERVING_PORT_8080_TCP_PROTO": "tcp",
    }
    require_known(service, "TRIMTAB_", VARIABLES)
    with pytest.raises(SettingError, match="TRIMTAB_KAFKA_PORT"):
        require_known({"TRIMTAB_KAFKA_PORT": "9092"}, "TRIMTAB_", VARIABLES)
