"""The exception tree drawn in the module's docstring is the one that exists."""

import inspect

from event_schemas.errors import TrimtabError
from learner.examples import learner_errors


def test_every_exception_is_in_the_picture_and_derives_from_the_root() -> None:
    classes = [
        c for _, c in inspect.getmembers(learner_errors, inspect.isclass) if c.__module__ == learner_errors.__name__
    ]
    picture = learner_errors.__doc__ or ""
    for exception in classes:
        assert issubclass(exception, TrimtabError)
        assert exception.__name__ in picture
        assert exception.__doc__
    assert picture.count("── ") == len(classes)
