"""What can be found out about a training in seconds, before it begins: a file a check, `check` the report."""
