"""Timings, apart from the tests: `make benchmark`. Every contender is checked to give the same gradient first."""
