from flow.golden import Golden  # noqa: F401
